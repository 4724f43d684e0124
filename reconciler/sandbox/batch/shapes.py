"""The requests of AWS Batch's operations: one line per operation, structure and enum, written from the API reference.

`member:type`, with `!` after a member that is required; `[x]` is a list, `{x}` a map from strings. The table does not
depend on the installed client, so that another client does not make the sandbox stricter or laxer than the service;
`tests/sandbox/batch/test_service.py` compares the two. What a newer client has in addition is added in
:mod:`.installed`.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from reconciler.model.records import dataclass


@dataclass(frozen=True)
class Member:
    """One member of a structure; `type` is in the notation of this module."""

    name: str
    type: str
    required: bool


_OPERATIONS = """
CancelJob = jobId!:string reason!:string
CancelJobs = jobs!:[string] reason!:string
CreateComputeEnvironment = computeEnvironmentName!:string type!:CEType state:CEState unmanagedvCpus:integer
    computeResources:ComputeResource serviceRole:string tags:{string} eksConfiguration:EksConfiguration
    context:string ecsSettings:EcsSettings
CreateConsumableResource = consumableResourceName!:string totalQuantity:long resourceType:string tags:{string}
CreateJobQueue = jobQueueName!:string state:JQState schedulingPolicyArn:string priority!:integer
    computeEnvironmentOrder:[ComputeEnvironmentOrder] serviceEnvironmentOrder:[ServiceEnvironmentOrder]
    jobQueueType:JobQueueType tags:{string} jobStateTimeLimitActions:[JobStateTimeLimitAction]
CreateQuotaShare = quotaShareName!:string jobQueue!:string capacityLimits!:[QuotaShareCapacityLimit]
    resourceSharingConfiguration!:QuotaShareResourceSharingConfiguration
    preemptionConfiguration!:QuotaSharePreemptionConfiguration state:QuotaShareState tags:{string}
CreateSchedulingPolicy = name!:string quotaSharePolicy:QuotaSharePolicy fairsharePolicy:FairsharePolicy
    tags:{string}
CreateServiceEnvironment = serviceEnvironmentName!:string serviceEnvironmentType!:ServiceEnvironmentType
    state:ServiceEnvironmentState capacityLimits!:[CapacityLimit] tags:{string}
DeleteComputeEnvironment = computeEnvironment!:string
DeleteConsumableResource = consumableResource!:string
DeleteJobQueue = jobQueue!:string
DeleteQuotaShare = quotaShareArn!:string
DeleteSchedulingPolicy = arn!:string
DeleteServiceEnvironment = serviceEnvironment!:string
DeregisterJobDefinition = jobDefinition!:string
DescribeComputeEnvironments = computeEnvironments:[string] maxResults:integer nextToken:string
DescribeConsumableResource = consumableResource!:string
DescribeJobDefinitions = jobDefinitions:[string] maxResults:integer jobDefinitionName:string status:string
    nextToken:string
DescribeJobQueues = jobQueues:[string] maxResults:integer nextToken:string
DescribeJobs = jobs!:[string]
DescribeQuotaShare = quotaShareArn!:string
DescribeSchedulingPolicies = arns!:[string]
DescribeServiceEnvironments = serviceEnvironments:[string] maxResults:integer nextToken:string
DescribeServiceJob = jobId!:string
GetJobQueueSnapshot = jobQueue!:string
ListConsumableResources = filters:[KeyValuesPair] maxResults:integer nextToken:string
ListJobs = jobQueue:string arrayJobId:string multiNodeJobId:string jobStatus:JobStatus maxResults:integer
    nextToken:string filters:[KeyValuesPair]
ListJobsByConsumableResource = consumableResource!:string filters:[KeyValuesPair] maxResults:integer
    nextToken:string
ListQuotaShares = jobQueue!:string maxResults:integer nextToken:string
ListSchedulingPolicies = maxResults:integer nextToken:string
ListServiceJobs = jobQueue:string jobStatus:ServiceJobStatus maxResults:integer nextToken:string
    filters:[KeyValuesPair]
ListTagsForResource = resourceArn!:string
RegisterJobDefinition = jobDefinitionName!:string type!:JobDefinitionType parameters:{string}
    schedulingPriority:integer containerProperties:ContainerProperties nodeProperties:NodeProperties
    retryStrategy:RetryStrategy propagateTags:boolean timeout:JobTimeout tags:{string}
    platformCapabilities:[PlatformCapability] eksProperties:EksProperties ecsProperties:EcsProperties
    consumableResourceProperties:ConsumableResourceProperties
SubmitJob = jobName!:string jobQueue!:string shareIdentifier:string schedulingPriorityOverride:integer
    arrayProperties:ArrayProperties dependsOn:[JobDependency] jobDefinition!:string parameters:{string}
    containerOverrides:ContainerOverrides nodeOverrides:NodeOverrides retryStrategy:RetryStrategy
    propagateTags:boolean timeout:JobTimeout tags:{string} eksPropertiesOverride:EksPropertiesOverride
    ecsPropertiesOverride:EcsPropertiesOverride consumableResourcePropertiesOverride:ConsumableResourceProperties
SubmitServiceJob = jobName!:string jobQueue!:string retryStrategy:ServiceJobRetryStrategy schedulingPriority:integer
    serviceRequestPayload!:string serviceJobType!:ServiceJobType shareIdentifier:string quotaShareName:string
    preemptionConfiguration:ServiceJobPreemptionConfiguration timeoutConfig:ServiceJobTimeout tags:{string}
    clientToken:string
TagResource = resourceArn!:string tags!:{string}
TerminateJob = jobId!:string reason!:string
TerminateJobs = jobs!:[string] reason!:string
TerminateServiceJob = jobId!:string reason!:string
TerminateServiceJobs = jobs!:[string] reason!:string
UntagResource = resourceArn!:string tagKeys!:[string]
UpdateComputeEnvironment = computeEnvironment!:string state:CEState unmanagedvCpus:integer
    computeResources:ComputeResourceUpdate serviceRole:string updatePolicy:UpdatePolicy context:string
    ecsSettings:EcsSettings eksConfiguration:EksConfigurationUpdate
UpdateConsumableResource = consumableResource!:string operation:string quantity:long clientToken:string
UpdateJobQueue = jobQueue!:string state:JQState schedulingPolicyArn:string priority:integer
    computeEnvironmentOrder:[ComputeEnvironmentOrder] serviceEnvironmentOrder:[ServiceEnvironmentOrder]
    jobStateTimeLimitActions:[JobStateTimeLimitAction]
UpdateQuotaShare = quotaShareArn!:string capacityLimits:[QuotaShareCapacityLimit]
    resourceSharingConfiguration:QuotaShareResourceSharingConfiguration
    preemptionConfiguration:QuotaSharePreemptionConfiguration state:QuotaShareState
UpdateSchedulingPolicy = arn!:string quotaSharePolicy:QuotaSharePolicy fairsharePolicy:FairsharePolicy
UpdateServiceEnvironment = serviceEnvironment!:string state:ServiceEnvironmentState capacityLimits:[CapacityLimit]
UpdateServiceJob = jobId!:string schedulingPriority!:integer
"""

_STRUCTURES = """
ComputeResource = type!:CRType allocationStrategy:CRAllocationStrategy minvCpus:integer maxvCpus!:integer
    desiredvCpus:integer instanceTypes:[string] imageId:string subnets:[string] securityGroupIds:[string]
    ec2KeyPair:string instanceRole:string tags:{string} placementGroup:string bidPercentage:integer
    spotIamFleetRole:string launchTemplate:LaunchTemplateSpecification ec2Configuration:[Ec2Configuration]
    scalingPolicy:ComputeScalingPolicy managedInstancesProvider:ManagedInstancesProvider capacityTags:{string}
LaunchTemplateSpecification = launchTemplateId:string launchTemplateName:string version:string
    overrides:[LaunchTemplateSpecificationOverride] userdataType:UserdataType
LaunchTemplateSpecificationOverride = launchTemplateId:string launchTemplateName:string version:string
    targetInstanceTypes:[string] userdataType:UserdataType
Ec2Configuration = imageType!:string imageIdOverride:string batchImageStatus:string imageKubernetesVersion:string
ComputeScalingPolicy = minScaleDownDelayMinutes:integer
ManagedInstancesProvider = propagateTags:string infrastructureRoleArn!:string
    instanceLaunchTemplate!:InstanceLaunchTemplate infrastructureOptimization:InfrastructureOptimization
InstanceLaunchTemplate = ec2InstanceProfileArn!:string networkConfiguration!:ManagedInstancesNetworkConfiguration
    instanceRequirements:InstanceRequirementsRequest capacityOptionType:string
    storageConfiguration:ManagedInstancesStorageConfiguration monitoring:string fipsEnabled:boolean
    capacityReservations:CapacityReservationRequest instanceMetadataTagsPropagation:boolean
    localStorageConfiguration:ManagedInstancesLocalStorageConfiguration
ManagedInstancesNetworkConfiguration = subnets!:[string] securityGroups!:[string]
InstanceRequirementsRequest = allowedInstanceTypes:[string]
ManagedInstancesStorageConfiguration = storageSizeGiB:integer
CapacityReservationRequest = reservationGroupArn:string reservationPreference:string
ManagedInstancesLocalStorageConfiguration = useLocalStorage:boolean
InfrastructureOptimization = scaleInAfter:integer
EksConfiguration = eksClusterArn!:string kubernetesNamespace!:string accessEntry:EksAccessEntry
EksAccessEntry = desiredState!:EksAccessEntryDesiredState status:EksAccessEntryStatus
EcsSettings = containerInsights:ContainerInsights
ComputeEnvironmentOrder = order!:integer computeEnvironment!:string
ServiceEnvironmentOrder = order!:integer serviceEnvironment!:string
JobStateTimeLimitAction = reason!:string state!:JobStateTimeLimitActionsState maxTimeSeconds!:integer
    action!:JobStateTimeLimitActionsAction
QuotaShareCapacityLimit = maxCapacity!:integer capacityUnit!:string
QuotaShareResourceSharingConfiguration = strategy!:QuotaShareResourceSharingStrategy borrowLimit:integer
QuotaSharePreemptionConfiguration = inSharePreemption!:QuotaShareInSharePreemptionState
QuotaSharePolicy = idleResourceAssignmentStrategy!:QuotaShareIdleResourceAssignmentStrategy
FairsharePolicy = shareDecaySeconds:integer computeReservation:integer shareDistribution:[ShareAttributes]
ShareAttributes = shareIdentifier!:string weightFactor:float
CapacityLimit = maxCapacity:integer capacityUnit:string
KeyValuesPair = name:string values:[string]
ContainerProperties = image:string vcpus:integer memory:integer command:[string] jobRoleArn:string
    executionRoleArn:string volumes:[Volume] environment:[KeyValuePair] mountPoints:[MountPoint]
    readonlyRootFilesystem:boolean privileged:boolean ulimits:[Ulimit] user:string instanceType:string
    resourceRequirements:[ResourceRequirement] linuxParameters:LinuxParameters logConfiguration:LogConfiguration
    secrets:[Secret] networkConfiguration:NetworkConfiguration
    fargatePlatformConfiguration:FargatePlatformConfiguration enableExecuteCommand:boolean
    ephemeralStorage:EphemeralStorage runtimePlatform:RuntimePlatform repositoryCredentials:RepositoryCredentials
Volume = host:Host name:string efsVolumeConfiguration:EFSVolumeConfiguration
    s3filesVolumeConfiguration:S3FilesVolumeConfiguration
Host = sourcePath:string
EFSVolumeConfiguration = fileSystemId!:string rootDirectory:string transitEncryption:EFSTransitEncryption
    transitEncryptionPort:integer authorizationConfig:EFSAuthorizationConfig
EFSAuthorizationConfig = accessPointId:string iam:EFSAuthorizationConfigIAM
S3FilesVolumeConfiguration = fileSystemArn!:string rootDirectory:string transitEncryptionPort:integer
    accessPointArn:string
KeyValuePair = name:string value:string
MountPoint = containerPath:string readOnly:boolean sourceVolume:string
Ulimit = hardLimit!:integer name!:string softLimit!:integer
ResourceRequirement = value!:string type!:ResourceType
LinuxParameters = devices:[Device] initProcessEnabled:boolean sharedMemorySize:integer tmpfs:[Tmpfs] maxSwap:integer
    swappiness:integer
Device = hostPath!:string containerPath:string permissions:[DeviceCgroupPermission]
Tmpfs = containerPath!:string size!:integer mountOptions:[string]
LogConfiguration = logDriver!:LogDriver options:{string} secretOptions:[Secret]
Secret = name!:string valueFrom!:string
NetworkConfiguration = assignPublicIp:AssignPublicIp
FargatePlatformConfiguration = platformVersion:string
EphemeralStorage = sizeInGiB!:integer
RuntimePlatform = operatingSystemFamily:string cpuArchitecture:string
RepositoryCredentials = credentialsParameter!:string
NodeProperties = numNodes!:integer mainNode!:integer nodeRangeProperties!:[NodeRangeProperty]
NodeRangeProperty = targetNodes!:string container:ContainerProperties instanceTypes:[string]
    ecsProperties:EcsProperties eksProperties:EksProperties
    consumableResourceProperties:ConsumableResourceProperties
EcsProperties = taskProperties!:[EcsTaskProperties]
EcsTaskProperties = containers!:[TaskContainerProperties] ephemeralStorage:EphemeralStorage executionRoleArn:string
    platformVersion:string ipcMode:string taskRoleArn:string pidMode:string
    networkConfiguration:NetworkConfiguration runtimePlatform:RuntimePlatform volumes:[Volume]
    enableExecuteCommand:boolean networkMode:string
TaskContainerProperties = command:[string] dependsOn:[TaskContainerDependency] environment:[KeyValuePair]
    essential:boolean firelensConfiguration:FirelensConfiguration image!:string linuxParameters:LinuxParameters
    logConfiguration:LogConfiguration mountPoints:[MountPoint] name:string privileged:boolean
    readonlyRootFilesystem:boolean repositoryCredentials:RepositoryCredentials
    resourceRequirements:[ResourceRequirement] secrets:[Secret] ulimits:[Ulimit] user:string startTimeout:integer
    stopTimeout:integer
TaskContainerDependency = containerName:string condition:string
FirelensConfiguration = type!:FirelensConfigurationType options:{string}
EksProperties = podProperties:EksPodProperties
EksPodProperties = serviceAccountName:string hostNetwork:boolean dnsPolicy:string imagePullSecrets:[ImagePullSecret]
    containers:[EksContainer] initContainers:[EksContainer] volumes:[EksVolume] metadata:EksMetadata
    shareProcessNamespace:boolean securityContext:EksPodSecurityContext
ImagePullSecret = name!:string
EksContainer = name:string image!:string imagePullPolicy:string command:[string] args:[string]
    env:[EksContainerEnvironmentVariable] resources:EksContainerResourceRequirements
    volumeMounts:[EksContainerVolumeMount] securityContext:EksContainerSecurityContext
EksContainerEnvironmentVariable = name!:string value:string
EksContainerResourceRequirements = limits:{string} requests:{string}
EksContainerVolumeMount = name:string mountPath:string subPath:string readOnly:boolean
EksContainerSecurityContext = runAsUser:long runAsGroup:long privileged:boolean allowPrivilegeEscalation:boolean
    readOnlyRootFilesystem:boolean runAsNonRoot:boolean capabilities:EksContainerLinuxCapabilities
    seccompProfile:EksSeccompProfile
EksContainerLinuxCapabilities = add:[string] drop:[string]
EksSeccompProfile = type!:EksSeccompProfileType localhostProfile:string
EksVolume = name!:string hostPath:EksHostPath emptyDir:EksEmptyDir secret:EksSecret
    persistentVolumeClaim:EksPersistentVolumeClaim
EksHostPath = path:string
EksEmptyDir = medium:string sizeLimit:string
EksSecret = secretName!:string optional:boolean
EksPersistentVolumeClaim = claimName!:string readOnly:boolean
EksMetadata = labels:{string} annotations:{string} namespace:string
EksPodSecurityContext = runAsUser:long runAsGroup:long runAsNonRoot:boolean seccompProfile:EksSeccompProfile
    fsGroup:long
ConsumableResourceProperties = consumableResourceList:[ConsumableResourceRequirement]
ConsumableResourceRequirement = consumableResource:string quantity:long
RetryStrategy = attempts:integer evaluateOnExit:[EvaluateOnExit]
EvaluateOnExit = onStatusReason:string onReason:string onExitCode:string action!:RetryAction
JobTimeout = attemptDurationSeconds:integer
ArrayProperties = size:integer
JobDependency = jobId:string type:ArrayJobDependency
ContainerOverrides = vcpus:integer memory:integer command:[string] instanceType:string environment:[KeyValuePair]
    resourceRequirements:[ResourceRequirement]
NodeOverrides = numNodes:integer nodePropertyOverrides:[NodePropertyOverride]
NodePropertyOverride = targetNodes!:string containerOverrides:ContainerOverrides
    ecsPropertiesOverride:EcsPropertiesOverride instanceTypes:[string] eksPropertiesOverride:EksPropertiesOverride
    consumableResourcePropertiesOverride:ConsumableResourceProperties
EcsPropertiesOverride = taskProperties:[TaskPropertiesOverride]
TaskPropertiesOverride = containers:[TaskContainerOverrides]
TaskContainerOverrides = command:[string] environment:[KeyValuePair] name:string
    resourceRequirements:[ResourceRequirement]
EksPropertiesOverride = podProperties:EksPodPropertiesOverride
EksPodPropertiesOverride = containers:[EksContainerOverride] initContainers:[EksContainerOverride]
    metadata:EksMetadata
EksContainerOverride = name:string image:string command:[string] args:[string] env:[EksContainerEnvironmentVariable]
    resources:EksContainerResourceRequirements
ServiceJobRetryStrategy = attempts!:integer evaluateOnExit:[ServiceJobEvaluateOnExit]
ServiceJobEvaluateOnExit = action:ServiceJobRetryAction onStatusReason:string
ServiceJobPreemptionConfiguration = preemptionRetriesBeforeTermination:integer
ServiceJobTimeout = attemptDurationSeconds:integer
ComputeResourceUpdate = minvCpus:integer maxvCpus:integer desiredvCpus:integer subnets:[string]
    securityGroupIds:[string] allocationStrategy:CRUpdateAllocationStrategy instanceTypes:[string] ec2KeyPair:string
    instanceRole:string tags:{string} placementGroup:string bidPercentage:integer
    launchTemplate:LaunchTemplateSpecification ec2Configuration:[Ec2Configuration]
    updateToLatestImageVersion:boolean type:CRType imageId:string scalingPolicy:ComputeScalingPolicy
    managedInstancesProvider:UpdateManagedInstancesProviderConfiguration capacityTags:{string}
UpdateManagedInstancesProviderConfiguration = propagateTags:string infrastructureRoleArn:string
    instanceLaunchTemplate:InstanceLaunchTemplateUpdate infrastructureOptimization:InfrastructureOptimization
InstanceLaunchTemplateUpdate = ec2InstanceProfileArn:string
    networkConfiguration:ManagedInstancesNetworkConfiguration instanceRequirements:InstanceRequirementsRequest
    storageConfiguration:ManagedInstancesStorageConfiguration monitoring:string
    capacityReservations:CapacityReservationRequest instanceMetadataTagsPropagation:boolean
    localStorageConfiguration:ManagedInstancesLocalStorageConfiguration
UpdatePolicy = terminateJobsOnUpdate:boolean jobExecutionTimeoutMinutes:long
EksConfigurationUpdate = accessEntry:EksAccessEntry
"""

_ENUMS = """
CEType = MANAGED UNMANAGED
CEState = ENABLED DISABLED
CRType = EC2 SPOT FARGATE FARGATE_SPOT ECS_MANAGED_INSTANCES
CRAllocationStrategy = BEST_FIT BEST_FIT_PROGRESSIVE BEST_FIT_PROGRESSIVE_ORDERED SPOT_CAPACITY_OPTIMIZED
    SPOT_PRICE_CAPACITY_OPTIMIZED SPOT_CAPACITY_OPTIMIZED_PRIORITIZED
UserdataType = EKS_BOOTSTRAP_SH EKS_NODEADM
EksAccessEntryDesiredState = ENABLED DISABLED INHERIT_FROM_CLUSTER
EksAccessEntryStatus = ACTIVE INACTIVE
ContainerInsights = ENABLED ENHANCED DISABLED
JQState = ENABLED DISABLED
JobQueueType = EKS ECS ECS_FARGATE SAGEMAKER_TRAINING ECS_MANAGED_INSTANCES
JobStateTimeLimitActionsState = RUNNABLE
JobStateTimeLimitActionsAction = CANCEL TERMINATE
QuotaShareResourceSharingStrategy = RESERVE LEND LEND_AND_BORROW
QuotaShareInSharePreemptionState = ENABLED DISABLED
QuotaShareState = ENABLED DISABLED
QuotaShareIdleResourceAssignmentStrategy = FIFO
ServiceEnvironmentType = SAGEMAKER_TRAINING
ServiceEnvironmentState = ENABLED DISABLED
JobStatus = SUBMITTED PENDING RUNNABLE STARTING RUNNING SUCCEEDED FAILED
ServiceJobStatus = SUBMITTED PENDING RUNNABLE SCHEDULED STARTING RUNNING SUCCEEDED FAILED
JobDefinitionType = container multinode
EFSTransitEncryption = ENABLED DISABLED
EFSAuthorizationConfigIAM = ENABLED DISABLED
ResourceType = GPU VCPU MEMORY
DeviceCgroupPermission = READ WRITE MKNOD
LogDriver = json-file syslog journald gelf fluentd awslogs splunk awsfirelens
AssignPublicIp = ENABLED DISABLED
FirelensConfigurationType = fluentd fluentbit
EksSeccompProfileType = RuntimeDefault Localhost Unconfined
RetryAction = RETRY EXIT
PlatformCapability = EC2 FARGATE MANAGED_INSTANCES
ArrayJobDependency = N_TO_N SEQUENTIAL
ServiceJobRetryAction = RETRY EXIT
ServiceJobType = SAGEMAKER_TRAINING
CRUpdateAllocationStrategy = BEST_FIT_PROGRESSIVE BEST_FIT_PROGRESSIVE_ORDERED SPOT_CAPACITY_OPTIMIZED
    SPOT_PRICE_CAPACITY_OPTIMIZED SPOT_CAPACITY_OPTIMIZED_PRIORITIZED
"""

PRIMITIVES = frozenset({"string", "integer", "long", "boolean", "float", "double"})


def _entries(text: str) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in text.replace("\n    ", " ").strip().splitlines():
        name, _, body = line.partition(" = ")
        found[name.removesuffix(" =")] = tuple(body.split())
    return found


def _members(words: tuple[str, ...]) -> tuple[Member, ...]:
    pairs = (word.split(":", 1) for word in words)
    return tuple(Member(name.rstrip("!"), type_, name.endswith("!")) for name, type_ in pairs)


OPERATIONS: Mapping[str, tuple[Member, ...]] = {name: _members(words) for name, words in _entries(_OPERATIONS).items()}
STRUCTURES: Mapping[str, tuple[Member, ...]] = {name: _members(words) for name, words in _entries(_STRUCTURES).items()}
ENUMS: Mapping[str, tuple[str, ...]] = _entries(_ENUMS)


@cache
def operation_at(method: str, path: str) -> str | None:
    """The operation of a method and a path, None if there is none; every call is a POST except those for tags."""
    if path.startswith("/v1/tags/"):
        return {"GET": "ListTagsForResource", "POST": "TagResource", "DELETE": "UntagResource"}.get(method)
    if method != "POST":
        return None
    return _BY_PATH.get(path.rstrip("/"))


_BY_PATH = {
    f"/v1/{name.lower()}": name
    for name in OPERATIONS
    if not name.endswith(("tagResource", "TagResource", "TagsForResource"))
}

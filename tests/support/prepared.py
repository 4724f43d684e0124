"""What is dear to make and always comes out the same is made once per test process.

boto3 reads and compiles AWS's models anew for every client, copies every event handler for it, which is most of what a
client costs, and gives each a TLS context that nothing on loopback uses; with every request it spells the user agent
and signs, which the sandbox never looks at; every request has several random ids, each of which is a call of the system;
our own client compiles what replies must look like; moto goes through all of botocore's data for every service; the
digests of secrets are slow on purpose, which serves nobody here; each call that is paged makes a class of its own, and
each header an object. Processes that tests start do all of it as ever.
"""

from __future__ import annotations

import hashlib
import os
import random
import uuid
from collections.abc import Callable, Iterator
from copy import copy
from functools import cache, lru_cache, wraps
from typing import Any
from weakref import WeakKeyDictionary

import botocore.awsrequest
import botocore.endpoint
import botocore.httpsession
import botocore.loaders
import botocore.model
import botocore.regions
import botocore.session
import botocore.useragent
from botocore import auth, hooks, signers
from botocore.awsrequest import HeadersDict, HTTPHeaders
from botocore.client import BaseClient, ClientCreator
from botocore.context import ClientContext
from botocore.hooks import EventAliaser
from botocore.model import ServiceModel
from botocore.regions import EndpointRulesetResolver

from reconciler.account import client

_MANY = 4096
_chance = random.Random()
_slow = lru_cache(_MANY)(hashlib.scrypt)
# whether the digests of secrets are those of other processes, which are at the same account
digests_like_others = False
_UNSIGNED = f"SignedHeaders=host, Signature={'0' * 64}"


def install() -> None:
    """For the rest of the process."""
    client.Shapes = cache(client.Shapes)
    hashlib.scrypt = _scrypt
    uuid.uuid4 = _drawn
    botocore.loaders.create_loader = botocore.session.create_loader = cache(botocore.loaders.create_loader)
    botocore.regions.EndpointProvider = _of_the_same(botocore.regions.EndpointProvider)
    made = EndpointRulesetResolver.construct_endpoint
    EndpointRulesetResolver.construct_endpoint = _once_where_calls_do_not_matter(made)
    botocore.endpoint.get_environ_proxies = _if_named(botocore.endpoint.get_environ_proxies)
    botocore.httpsession.create_urllib3_context = cache(botocore.httpsession.create_urllib3_context)
    ClientCreator._load_service_model = _load_service_model
    ClientCreator._create_client_class = _once_a_model(ClientCreator._create_client_class)
    hooks._PrefixTrie = _SharedTrie
    registered = botocore.session.Session._register_builtin_handlers
    botocore.session.Session._register_builtin_handlers = _registered_once(registered)
    hooks.accepts_kwargs = _once_a_function(hooks.accepts_kwargs)
    EventAliaser._alias_event_name = _once_a_name(EventAliaser._alias_event_name)
    EventAliaser.emit = _emitted
    botocore.model.hyphenize_service_id = lru_cache(_MANY)(botocore.model.hyphenize_service_id)
    spelt = botocore.useragent.sanitize_user_agent_string_component
    botocore.useragent.sanitize_user_agent_string_component = lru_cache(_MANY)(spelt)
    botocore.useragent.UserAgentString.to_string = _spelt_once(botocore.useragent.UserAgentString.to_string)
    signers.RequestSigner.sign = _named(signers.RequestSigner.sign)
    botocore.awsrequest.HeadersDict = _Headers
    botocore.awsrequest.HTTPHeaders = _Written
    BaseClient.get_paginator = _once_a_method(BaseClient.get_paginator)
    ClientContext.__deepcopy__ = _with_its_features


def _scrypt(password: bytes, *, salt: bytes, n: int, **more: int) -> bytes:
    """The same with the least work, a ten-thousandth: nobody guesses the passwords of tests."""
    return _slow(password, salt=salt, n=n if digests_like_others else 2, **more)


def _drawn() -> uuid.UUID:
    """A random one, for which nobody asks the system: every request has several."""
    return uuid.UUID(int=_chance.getrandbits(128), version=4)


def _of_the_same(make: Callable[..., Any]) -> Callable[..., Any]:
    """``make`` of the same dictionaries gives the same thing: the loader hands out the ones it has read."""
    made: dict[Any, tuple[Any, Any]] = {}

    @wraps(make)
    def found(**arguments: Any) -> Any:
        key = tuple((name, value if isinstance(value, str) else id(value)) for name, value in sorted(arguments.items()))
        if key not in made:
            made[key] = (arguments, make(**arguments))  # holding the arguments keeps their ids theirs
        return made[key][1]

    return found


_service_model = _of_the_same(ServiceModel)


def _load_service_model(creator: Any, service_name: str, api_version: str | None = None) -> Any:
    described = creator._loader.load_service_model(service_name, "service-2", api_version=api_version)
    return _service_model(service_description=described, service_name=service_name)


def _once_a_model(create: Callable[..., Any]) -> Callable[..., Any]:
    made: dict[int, Any] = {}  # `_service_model` keeps the models

    @wraps(create)
    def found(creator: Any, service_name: str, service_model: Any) -> Any:
        if id(service_model) not in made:
            made[id(service_model)] = create(creator, service_name, service_model)
        return made[id(service_model)]

    return found


class _SharedTrie(hooks._PrefixTrie):
    """Event handlers by name, whose copies share what none of them has changed: every client begins with a copy."""

    def __init__(self) -> None:
        super().__init__()
        self._owner = object()

    def __copy__(self) -> _SharedTrie:
        copied = type(self)()
        copied._root = self._root
        self._owner = object()  # what both have from now on belongs to neither
        return copied

    def append_item(self, key: str, *item: Any, **section: Any) -> None:
        self._own(key)
        super().append_item(key, *item, **section)

    def remove_item(self, key: str, value: Any) -> None:
        self._own(key)
        super().remove_item(key, value)

    def _own(self, key: str) -> None:
        """Copy what is shared of the nodes from the root to ``key``."""
        node = self._root = self._owned(self._root)
        for part in key.split("."):
            children = node["children"]
            if part not in children:
                return
            node = children[part] = self._owned(children[part])

    def _owned(self, node: dict[str, Any]) -> dict[str, Any]:
        if node.get("owner") is self._owner:
            return node
        return {**node, "owner": self._owner, "children": {**node["children"]}, "values": copy(node["values"])}


def _registered_once(register: Callable[..., None]) -> Callable[..., None]:
    """Every session begins with the same hundred handlers: with a copy of those of the first."""
    first: list[Any] = []

    @wraps(register)
    def registered(session: Any, events: Any) -> None:
        emitter = events._emitter
        if emitter._handlers._root["children"]:
            register(session, events)
            return
        if not first:
            register(session, events)
            first.append(copy(emitter))
        emitter.__dict__.update(copy(first[0]).__dict__, _lookup_cache={})

    return registered


def _once_where_calls_do_not_matter(construct: Callable[..., Any]) -> Callable[..., Any]:
    """A client has one endpoint for all calls, unless their parameters are part of it."""

    @wraps(construct)
    def found(resolver: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
        model = operation_model
        if (
            model.service_model.service_name == "s3"  # whose event handlers change more
            or model.static_context_parameters
            or model.context_parameters
            or model.operation_context_parameters
        ):
            return construct(resolver, operation_model, call_args, request_context)
        if "_same" not in resolver.__dict__:
            resolver._same = construct(resolver, operation_model, call_args, request_context)
        return resolver._same

    return found


def _if_named(proxies: Callable[..., Any]) -> Callable[..., Any]:
    """The proxies that the environment names, for which botocore decodes all of it twice for every client."""

    @wraps(proxies)
    def found(url: str) -> Any:
        named = any(name[-6:].lower() == b"_proxy" for name in os.environ._data)
        return proxies(url) if named else {}

    return found


def _once_a_function(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Every client registers the same functions and methods, and each is looked into."""
    known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

    @wraps(accepts)
    def found(handler: Any) -> bool:
        function = getattr(handler, "__func__", handler)
        if function not in known:
            known[function] = accepts(handler)
        return known[function]

    return found


class _Headers(HeadersDict):
    """The same, with less to do for each header."""

    def __setitem__(self, key: str, value: Any) -> None:
        self._dict[key.lower()] = (key, value)

    def __getitem__(self, key: str) -> Any:
        return self._dict[key.lower()][1]

    def __delitem__(self, key: str) -> None:
        del self._dict[key.lower()]

    def __contains__(self, key: Any) -> bool:
        return key.lower() in self._dict

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._dict.values())

    def items(self) -> Any:
        return self._dict.values()

    def copy(self) -> _Headers:
        return _Headers(self.items())


class _Written(HTTPHeaders):
    """The headers of a request before it is sent, whose values are none of those that e-mails may have."""

    def items(self) -> Any:
        return [*self._headers]


def _once_a_method(paginator: Callable[..., Any]) -> Callable[..., Any]:
    """A client's paginator of an operation holds nothing, but is an object of a class that is made for it."""

    @wraps(paginator)
    def found(self: Any, operation_name: str) -> Any:
        made, method = self.__dict__.setdefault("_paginators", {}), getattr(self, operation_name, None)
        if operation_name not in made or made[operation_name][0] != method:
            made[operation_name] = (method, paginator(self, operation_name))
        return made[operation_name][1]

    return found


def _with_its_features(context: ClientContext, _: Any) -> ClientContext:
    return ClientContext(set(context.features))


def _once_a_name(alias: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """botocore has one table of old names of events, and goes through it anew for every client."""
    known: dict[str, str] = {}

    @wraps(alias)
    def found(aliaser: Any, name: str) -> str:
        if len(known) > _MANY:
            known.clear()
        if name not in known:
            known[name] = alias(aliaser, name)
        return known[name]

    return found


def _emitted(aliaser: Any, event_name: str, **about: Any) -> list[tuple[Any, Any]]:
    """The handlers of an event and what they have returned, as ever; nobody reads in the log which they were."""
    name, emitter = aliaser._alias_event_name(event_name), aliaser._emitter
    handlers = emitter._lookup_cache.get(name)
    if handlers is None:
        return list(emitter.emit(name, **about))
    about["event_name"] = name
    return [(handler, handler(**about)) for handler in handlers]


def _spelt_once(spell: Callable[[Any], str]) -> Callable[[Any], str]:
    """A client says the same of itself with every request, but for what botocore counts of its own features."""

    @wraps(spell)
    def found(agent: Any) -> str:
        config, told = agent.__dict__.get("_spelt", (None, ""))
        if not told or config is not agent._client_config:
            told = spell(agent)
            agent._spelt = (agent._client_config, told)
        return str(told)

    return found


def _named(sign: Callable[..., None]) -> Callable[..., None]:
    """Says who asks, which service and where, as a signature does; the digest, which nobody checks, is noughts."""

    @wraps(sign)
    def signed(signer: Any, operation_name: str, request: Any, *rest: Any, **more: Any) -> None:
        if rest or more or signer._signature_version != "v4" or signer._credentials is None:
            sign(signer, operation_name, request, *rest, **more)
            return
        told = request.context.get("signing", {})
        region, service = told.get("region") or signer._region_name, told.get("signing_name") or signer._signing_name
        credentials = signer._credentials.get_frozen_credentials()
        at = auth.get_current_datetime().strftime(auth.SIGV4_TIMESTAMP)
        scope = f"{credentials.access_key}/{at[:8]}/{region}/{service}/aws4_request"
        request.headers["X-Amz-Date"] = at
        if credentials.token:
            request.headers["X-Amz-Security-Token"] = credentials.token
        request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, {_UNSIGNED}"

    return signed

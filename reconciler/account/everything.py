"""Reads all that an account has, of any owner: for `import` and `audit`, which begin without a declaration.

Two stages, so that a large account costs no more calls than needed: :meth:`Everything.list` has the names of all
there is of a kind in few calls, :meth:`Everything.read` reads some of them whole, in the way in which a plan does.
What belongs to AWS itself is in neither (``Kind.everything``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial

from reconciler.account.reader import Reader
from reconciler.account.refresh import observe
from reconciler.model import Existing, Kind, Live, Scope, Unreadable, compact
from reconciler.model.records import dataclass


@dataclass(slots=True)
class Everything:
    """An account, read as far as it is asked about; equal calls are made once.

    ``refused`` are the sections that could not be read, each with the refusal.
    """

    reader: Reader
    kinds: Mapping[str, Kind]
    scope: Scope
    refused: dict[str, Unreadable] = field(default_factory=dict)
    _listed: dict[str, tuple[Existing, ...]] = field(default_factory=dict)
    _lives: dict[tuple[str, str, str], tuple[Live, ...]] = field(default_factory=dict)

    def list(self, sections: Iterable[str]) -> Mapping[str, Sequence[Existing]]:
        """All there is in each of ``sections``; of one that is refused nothing, and the refusal is kept."""
        wanted = [section for section in sections if section in self.kinds]
        jobs = {section: partial(self._list, section) for section in wanted if section not in self._listed}
        for section, found in self.reader.run_all(jobs).items():
            if isinstance(found, Unreadable):
                self.refused[section], self._listed[section] = found, ()
            elif isinstance(found, BaseException):
                raise found
            else:
                self._listed[section] = found
        return {section: self._listed[section] for section in wanted}

    def _list(self, section: str) -> tuple[Existing, ...]:
        everything = self.kinds[section].everything
        return tuple(self.reader.drive(everything(self.scope))) if everything else ()

    def read(self, wanted: Mapping[str, Iterable[Existing]]) -> dict[str, Sequence[Live]]:
        """The live objects of what was listed, whole; none for what is gone by now or refused."""
        chosen = {section: {_key(one): one for one in found} for section, found in wanted.items()}
        missing = {
            section: [one for key, one in found.items() if (section, *key) not in self._lives]
            for section, found in chosen.items()
        }
        missing = {section: found for section, found in missing.items() if found}
        if missing:
            sought = {section: tuple(one.sought for one in found) for section, found in missing.items()}
            observed = observe(self.reader, {name: self.kinds[name] for name in missing}, self.scope, sought)
            for section, found in missing.items():
                by_name = dict[str, list[Live]]()
                for live in observed.lives.get(section, ()):
                    by_name.setdefault(live.attrs.get("name") or live.physical, []).append(live)
                    if live.physical != live.attrs.get("name"):
                        by_name.setdefault(live.physical, []).append(live)
                for one in found:
                    self._lives[section, *_key(one)] = tuple(_meant(by_name.get(one.sought.name, ()), one))
            for (section, _), refusal in observed.unreadable.items():
                self.refused.setdefault(section, refusal)
        return {
            section: [live for key in found for live in self._lives[section, *key]] for section, found in chosen.items()
        }

    def everything(self, sections: Iterable[str]) -> dict[str, Sequence[Live]]:
        """All live objects of ``sections``."""
        return self.read(self.list(sections))


def _key(one: Existing) -> tuple[str, str]:
    return one.sought.name, compact(dict(one.sought.props))


def _meant(lives: Sequence[Live], one: Existing) -> Sequence[Live]:
    """Of objects of one name those that were listed: a name may exist in several networks, or on several buses."""
    if len(lives) < 2 or not one.sought.props:
        return lives
    return [live for live in lives if all(live.props.get(name) == item for name, item in one.sought.props.items())]

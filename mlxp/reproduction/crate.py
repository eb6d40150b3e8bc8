"""The facts about an export as an RO-Crate: metadata in JSON-LD that archives and catalogues of research understand.

https://w3id.org/ro/crate/1.1 is the specification. Each run is an action that a program did: its instrument is a state
of the code, and its result the folder of the run.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlxp.reproduction.exported_run import mapping_at

_SPECIFICATION: Final = "https://w3id.org/ro/crate/1.1"
_PROCESS: Final = "https://w3id.org/ro/wfrun/process/0.5"
_STATUS: Final = {"COMPLETE": "http://schema.org/CompletedActionStatus"}

Entity = dict[str, Any]


def crate_of(infos: Mapping[int, Mapping[str, Any]]) -> str:
    """Return the content of ``ro-crate-metadata.json``.

    Parameters
    ----------
    infos
        What each run says in the export, by id.

    Examples
    --------
    >>> graph = json.loads(crate_of({1: {"status": "COMPLETE", "ended_at": "2026-11-30T14:51:24+00:00"}}))["@graph"]
    >>> [entity["@id"] for entity in graph]
    ['ro-crate-metadata.json', './', 'https://w3id.org/ro/wfrun/process/0.5', 'README.md', 'logs/1/', '#run-1']
    """
    folders = [f"logs/{log_id}/" for log_id in infos]
    states = dict.fromkeys(state for info in infos.values() if (state := mapping_at(info, "code").get("state")))
    packages = dict.fromkeys(one for info in infos.values() if (one := mapping_at(info, "environment").get("packages")))
    environments = [f"environments/{address}.txt" for address in packages]
    parts = ["README.md", *folders, *environments, *(["logs/.store/"] if states else [])]
    ended = max((str(info["ended_at"]) for info in infos.values() if info.get("ended_at")), default="1980-01-01")
    graph: list[Entity] = [
        _metadata(),
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"{len(infos)} run{'s' * (len(infos) != 1)} of machine-learning experiments",
            "description": "Configurations, metrics, artifacts, code and environments of the runs, by MLXP.",
            "datePublished": ended,
            "license": "No licence is stated here; the code may have one.",
            "conformsTo": {"@id": _PROCESS},
            "hasPart": _references(parts),
            "mentions": _references(f"#run-{log_id}" for log_id in infos),
        },
        {"@id": _PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        _file("README.md", "How to read, check and repeat the runs", "text/markdown"),
        *(_file(name, "The packages of an environment, for pip", "text/plain") for name in environments),
        *([_store()] if states else []),
        *(_code(state) for state in states),
        *(entity for log_id, info in infos.items() for entity in _run(log_id, info)),
    ]
    content = {"@context": f"{_SPECIFICATION}/context", "@graph": graph}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _references(ids: Iterable[str]) -> list[Entity]:
    return [{"@id": one} for one in ids]


def _metadata() -> Entity:
    return {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _SPECIFICATION},
    }


def _file(name: str, title: str, kind: str) -> Entity:
    return {"@id": name, "@type": "File", "name": title, "encodingFormat": kind}


def _store() -> Entity:
    text = "The states of the code, as objects of git; README.md says how to look at them."
    return {"@id": "logs/.store/", "@type": "Dataset", "name": "Code and environments", "description": text}


def _code(state: str) -> Entity:
    # The address of a tree in git is that of a directory in the Software Heritage archive.
    identifier = f"swh:1:dir:{state}" if len(state) == 40 else state
    return {
        "@id": f"#code-{state}",
        "@type": "SoftwareApplication",
        "name": f"The code in state {state[:12]}",
        "identifier": identifier,
        "softwareRequirements": "see the environment of each run",
    }


def _run(log_id: int, info: Mapping[str, Any]) -> list[Entity]:
    words = " ".join(str(word) for word in [*(info.get("command") or ()), *(info.get("overrides") or ())])
    state = mapping_at(info, "code").get("state")
    packages = mapping_at(info, "environment").get("packages")
    used = [f"logs/{str(parent).removeprefix('../')}/" for parent in info.get("parents") or ()]
    used += [f"environments/{packages}.txt"] if packages else []
    action = {
        "@id": f"#run-{log_id}",
        "@type": "CreateAction",
        "name": f"Run {log_id}",
        "description": words or f"run {log_id}",
        "startTime": info.get("started_at"),
        "endTime": info.get("ended_at"),
        "actionStatus": _STATUS.get(str(info.get("status")), "http://schema.org/FailedActionStatus"),
        "instrument": {"@id": f"#code-{state}"} if state else None,
        "object": _references(used),
        "result": {"@id": f"logs/{log_id}/"},
    }
    folder = {
        "@id": f"logs/{log_id}/",
        "@type": "Dataset",
        "name": f"Configuration, metrics and artifacts of run {log_id}",
    }
    return [folder, {key: value for key, value in action.items() if value}]

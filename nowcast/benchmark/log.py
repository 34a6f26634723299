"""The log of a training run: a JSON object a line, which a run that goes on takes up again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nowcast.field.atomic import written_beside
from nowcast.field.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class TrainingLog:
    """Records of three kinds, each with the ``step`` and the ``seconds`` spent until then.

    ``plan``: how many steps the run will take, as far as is known; ``loss``: of a step; ``score``:
    of a validation.
    """

    path: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    is_kept: bool = True  # in the file; False in a process that follows another one

    @classmethod
    def read(cls, path: Path) -> TrainingLog:
        """The log in ``path``, empty without a file; raises StoreError for one that is no log."""
        if not path.is_file():
            return cls(path)
        try:
            records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            wrong = [r for r in records if not {"step", "seconds"} <= set(r)]
        except (ValueError, TypeError) as error:
            raise StoreError(f"{path}: not the log of a training run ({error})") from error
        if wrong:
            raise StoreError(f"{path}: not the log of a training run: a line says {wrong[0]}")
        return cls(path, records)

    @classmethod
    def resumed(cls, path: Path, *, step: int, is_kept: bool = True) -> TrainingLog:
        """The log in ``path`` up to ``step``; what came after it is taken off, there too."""
        log = cls.read(path)
        kept = [record for record in log.records if record["step"] <= step]
        if is_kept and len(kept) < len(log.records):
            with written_beside(path) as beside:
                beside.write_text("".join(json.dumps(record) + "\n" for record in kept), "utf-8")
        return cls(path, kept, is_kept)

    def add(self, **record: object) -> None:
        """Write one record at the end."""
        self.records.append(record)
        if not self.is_kept:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    @property
    def seconds(self) -> float:
        """The seconds that the run has taken so far, over all its parts."""
        return float(self.records[-1]["seconds"]) if self.records else 0.0

    def last(self, kind: str) -> Any:
        """The newest value of a kind, None without one."""
        return next((record[kind] for record in reversed(self.records) if kind in record), None)

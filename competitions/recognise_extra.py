"""Tables beside the labels: those that tell patients are joined, the others are named."""

from __future__ import annotations

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import find_images, path_in
from goldfold.competitions.group_columns import free_name
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_groups import group_names
from goldfold.competitions.table_ids import match_columns

_LEAST_SHARE = 0.5
"""Share of the training images that a further table must name."""


def add_extra_tables(draft: CompetitionDraft, found: FoundFiles) -> None:
    """Add tables with columns that look like groups; keep the names of the other ones."""
    paths = find_images(found.data, draft.competition["images"]["train"])
    pattern = draft.competition["images"].get("id_pattern")
    joined = []
    unused = []
    taken: dict[str, list[str]] = {}
    for table in found.tables:
        if table.path == draft.label_table or table in found.samples:
            continue
        match = next(iter(match_columns(table.rows, paths, found.data)), None)
        fits = (
            match is not None
            and match.pattern == pattern
            and not (match.folders or match.joined or match.ignores)
            and match.images >= _LEAST_SHARE * len(paths)
            and not table.rows[match.column].str.strip().duplicated().any()
        )
        groups = group_names(table.rows, match.column) if match is not None and fits else []
        if match is None or not groups:
            unused.append(found.name(table.path))
            continue
        columns = {}
        for name in groups:
            values = [*table.rows[name]]
            columns[free_name(taken, name, values, "table")] = name
            taken[name] = values
        joined.append(
            {"file": path_in(found.data, table.path), "id_column": match.column, "columns": columns}
        )
        draft.say(f"{found.name(table.path)}: {', '.join(groups)}; {match.evidence}")
    if joined:
        draft.competition["tables"] = joined
    draft.unused = unused

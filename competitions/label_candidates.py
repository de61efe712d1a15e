"""INTERIM"""
from __future__ import annotations
from dataclasses import dataclass
from goldfold.competitions.dialect_guess import is_mask_column

@dataclass(frozen=True)
class LabelCandidate:
    kind: str
    columns: tuple
    competition: dict
    labels: dict
    evidence: str
    questions: tuple
    weight: float

def label_candidates(rows, match, groups=()):
    out = []
    others = [str(c) for c in rows.columns if str(c) != match.column and str(c) not in groups]
    for c in others:
        if is_mask_column(rows[c]):
            out.append(LabelCandidate("rle", (c,), {}, {}, f"{c}: masks", (), 1.0))
    if out: return out
    flags = [c for c in others if {*rows[c].str.strip()} <= {"0","1","0.0","1.0"} and rows[c].nunique() > 1]
    if match.joined and len(flags) == 1:
        classes = list(dict.fromkeys(rows[match.column].str.strip().str.rsplit("_", n=1).str[1]))
        return [LabelCandidate("long", (flags[0],), {"task":"classification","classes":classes,"exclusive":False}, {"kind":"long","value_column":flags[0]}, "long", (), 1.0)]
    if flags:
        out.append(LabelCandidate("wide", tuple(flags), {"task":"classification","classes":flags,"exclusive":False}, {"kind":"wide"}, f"{len(flags)} columns of 0 and 1", (), 0.9))
    for c in others:
        cells = rows[c].str.strip()
        k = cells.nunique()
        if not 2 <= k <= min(50, len(cells)//3): continue
        if cells.str.fullmatch(r"\d+").all() and k > 2:
            out.append(LabelCandidate("grades",(c,),{"task":"grades","classes":sorted({*cells},key=int)},{"kind":"column","class_column":c},f"{c}: whole numbers",(),0.8))
        elif not cells.str.fullmatch(r"[\d. ]*").any():
            out.append(LabelCandidate("column",(c,),{"task":"classification","classes":sorted({*cells}),"exclusive":True},{"kind":"column","class_column":c},f"{c}: names",(),0.8))
    return sorted(out, key=lambda c: -c.weight)

"""How far up the relevant sources stand, by ir-measures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from workers.evals.figures import Figure, mean


def ranking(task: str, found: Mapping[str, Sequence[str]], relevant: Mapping[str, Sequence[str]]) -> list[Figure]:
    """Hits, recall, MRR and nDCG.

    Args:
        task: What was asked.
        found: By record, the sources found, best first; several passages of one source count where it first stands.
        relevant: By record, the sources that should be; records without any are left out.
    """
    import ir_measures
    from ir_measures import RR, R, Success, nDCG

    asked = [record for record, sources in relevant.items() if sources]
    if not asked:
        return []
    names = {
        Success @ 1: "hit@1",
        Success @ 5: "hit@5",
        R @ 5: "recall@5",
        RR @ 10: "MRR@10",
        nDCG @ 10: "nDCG@10",
    }
    judged = [ir_measures.Qrel(record, source, 1) for record in asked for source in set(relevant[record])]
    ranked = [
        ir_measures.ScoredDoc(record, source, float(-place))
        for record in asked
        for place, source in enumerate(dict.fromkeys(found.get(record, ())))
    ]
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for one in ir_measures.iter_calc(list(names), judged, ranked):
        values[names[one.measure]][one.query_id] = float(one.value)
    # What found nothing at all is no line of the library's, and counts as nothing found.
    return [
        figure
        for name in names.values()
        for figure in mean(task, name, [values[name].get(record, 0.0) for record in asked])
    ]

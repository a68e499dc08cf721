/* Questions that an origin would have to be asked: names::Names::miss, and what that needs of cells.rs and budget.rs in
 * filters/src/names. Windows are turned by the lanes and the daemon. */
#pragma once
#include "suffixes.h"

#define ATTACKED_COST_FACTOR 8
#define MISS_BURST_US 1000000ULL
#define UNSEEN_BURST_US (MISS_BURST_US / 2)

/* When a budget that is without debt at `free_again_us` will be, after one more that costs so much; 0: there is nothing left. */
static __always_inline u64 budget_after(u64 free_again_us, u64 cost_us, u64 burst_us, u64 now_us)
{
	u64 next_us = (free_again_us > now_us ? free_again_us : now_us) + cost_us;

	return next_us - now_us <= (burst_us > cost_us ? burst_us : cost_us) ? next_us : 0;
}

/* Takes one, if there is something left. */
static __always_inline int budget_take(u64 *budget, u64 cost_us, u64 burst_us, u64 now_us)
{
	u64 next_us = budget_after(*budget, cost_us, burst_us, now_us);

	if (next_us)
		*budget = next_us;
	return next_us != 0;
}

static __always_inline u64 miss_cost_us(const struct cell *cell)
{
	u32 per_s = cell->miss_budget_per_s;

	return MISS_BURST_US / (per_s ? per_s : 1);
}

static __always_inline int is_miss_armed(const struct cell *cell)
{
	u32 zero = 0;
	struct node *all = bpf_map_lookup_elem(&node, &zero);

	return cell->miss || (all && all->miss);
}

/* Whether miss_finding() drops it, whatever else is found; `is_trusted`: the source is known to be good, or proven. Changes
 * nothing. */
__noinline int is_hopeless_miss(struct work *work, int is_trusted)
{
	struct cell *cell = work ? cell_of(work->found.zone) : 0;
	u64 cost_us;
	int is_armed;

	if (!cell)
		return 0;
	cost_us = miss_cost_us(cell);
	is_armed = is_miss_armed(cell);
	if (existing_has(work->name_hash))
		return is_armed && !budget_after(cell->misses, cost_us, MISS_BURST_US, work->now_us);
	if (!is_armed && !is_attacked_above(work))
		return 0;
	/* Which budget it is that counts may change with this very name. */
	return !is_trusted || (!budget_after(cell->misses, cost_us, UNSEEN_BURST_US, work->now_us) &&
			       !budget_after(cell->attacked_misses, cost_us * ATTACKED_COST_FACTOR, UNSEEN_BURST_US,
					     work->now_us));
}

/* Notes that the cell's zone is asked for what is not at hand. */
static __always_inline void see_miss(struct cell *cell, u32 zone, u64 now_us)
{
	u64 on_demand = (u64)zone << 32 | (u32)(now_us / 1000000);

	if (cell->zone != zone + 1)
		cell->zone = zone + 1;
	if (cell->on_demand != on_demand)
		cell->on_demand = on_demand;
}

/* The answer is not at hand: its origin would have to be asked. A FINDING_... */
__noinline int miss_finding(struct work *work)
{
	struct cell *cell = work ? cell_of(work->found.zone) : 0;
	struct failure failure;
	u64 cost_us;
	int is_armed;

	if (!cell)
		return FINDING_FINE;
	see_miss(cell, work->found.zone, work->now_us);
	cost_us = miss_cost_us(cell);
	is_armed = is_miss_armed(cell);
	if (!is_armed && !is_attacked_above(work))
		return FINDING_FINE;
	if (existing_has(work->name_hash))
		return !is_armed || budget_take(&cell->misses, cost_us, MISS_BURST_US, work->now_us) ? FINDING_FINE :
												       FINDING_DROP;
	failure = fail_name(work, names_borne_per_s(cell));
	if (!work->known_good && work->proof == PROOF_NONE)
		return FINDING_DROP;
	if (failure.is_attacked ? budget_take(&cell->attacked_misses, cost_us * ATTACKED_COST_FACTOR, UNSEEN_BURST_US,
					      work->now_us) :
				  budget_take(&cell->misses, cost_us, UNSEEN_BURST_US, work->now_us))
		return FINDING_FINE;
	return FINDING_DROP;
}

/* A budget as one number, as filters/src/sources/gcra.rs has it: the generic cell rate algorithm with a second step. */
#pragma once
#include "maps.h"

/* What may come at once, in the unit of a TAT, 4 us: the budget of a second. */
#define GCRA_BURST 250000
#define GCRA_AHEAD_MAX (3 * GCRA_BURST)

enum level { LEVEL_WITHIN, LEVEL_ABOVE, LEVEL_FAR_ABOVE };

/* The time in the unit of a TAT; wraps. */
static __always_inline u32 gcra_units(u64 now_us)
{
	return now_us >> 2;
}

/* How far a TAT of which these bits were kept is ahead of now. */
static __always_inline u32 gcra_ahead(u32 tat, u32 now, u32 mask)
{
	u32 ahead = (tat - now) & mask;

	return ahead > GCRA_AHEAD_MAX ? 0 : ahead;
}

/* How much the next query is. */
static __always_inline enum level gcra_level(u32 ahead)
{
	if (ahead < GCRA_BURST)
		return LEVEL_WITHIN;
	return ahead < 2 * GCRA_BURST ? LEVEL_ABOVE : LEVEL_FAR_ABOVE;
}

/* One more query: how much that is, and how far the TAT is ahead from now on. */
static __always_inline enum level gcra_step(u32 *ahead, u32 cost)
{
	enum level level = gcra_level(*ahead);

	if (level == LEVEL_WITHIN)
		*ahead += cost;
	else if (level == LEVEL_ABOVE)
		*ahead += (cost + 3) / 4;
	return level;
}

/* The two places of a sketch that are of this hash. */
struct sketch_places {
	u32 *first;
	u32 *second;
};

static __always_inline struct sketch_places sketch_places(struct sketch *sketch, u64 hash)
{
	struct sketch_places places = {
		&sketch->rows[0][hash & (SKETCH_ROW - 1)],
		&sketch->rows[1][hash >> 32 & (SKETCH_ROW - 1)],
	};

	return places;
}

static __always_inline enum level sketch_ask_row(u32 *place, u32 cost, u32 now)
{
	u32 ahead = gcra_ahead(*place, now, ~0U);
	enum level level = gcra_step(&ahead, cost);

	*place = now + ahead;
	return level;
}

/* filters/src/sources/sketch.rs: one more query of who has this hash. */
static __always_inline enum level sketch_ask(struct sketch *sketch, u64 hash, u32 cost, u32 now)
{
	struct sketch_places places = sketch_places(sketch, hash);
	enum level first = sketch_ask_row(places.first, cost, now);
	enum level second = sketch_ask_row(places.second, cost, now);

	return first < second ? first : second;
}

/* How much the next one would be. */
static __always_inline enum level sketch_level(struct sketch *sketch, u64 hash, u32 now)
{
	struct sketch_places places = sketch_places(sketch, hash);
	enum level first = gcra_level(gcra_ahead(*places.first, now, ~0U));
	enum level second = gcra_level(gcra_ahead(*places.second, now, ~0U));

	return first < second ? first : second;
}

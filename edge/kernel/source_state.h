/* What is known of one source, in 64 bits: filters/src/sources/state.rs, where its layout is drawn. */
#pragma once
#include "gcra.h"

#define TAT_MASK ((1U << 28) - 1)
/* How long a proof holds, in its unit of 64 s; what seems to be older than PROOF_AGE_MAX is of a moment ahead. */
#define PROOF_UNITS 57
#define PROOF_AGE_MAX 250
#define BAD_WEIGHT 2
#define BAD_MAX 15
#define BAD_SPOILS 8
#define STALE_PERIODS 32
/* Who has that rank is not pushed out by who proves nothing, by anybody. */
#define RANK_PROVEN (1ULL << 20)
#define RANK_GOOD (1ULL << 21)

enum standing { WATCHED, CONNECTED, HAD_COOKIE, BEHAVED, TOLD };

/* Where its bits are. */
#define STANDING_SHIFT 28
#define STANDING_BITS 3
#define GOOD_PERIODS_SHIFT 31
#define GOOD_PERIODS_BITS 4
#define BAD_SHIFT 35
#define BAD_BITS 4
#define HAD_GOOD_SHIFT 39
#define HAD_GOOD_BITS 1
#define PERIOD_SHIFT 40
#define PERIOD_BITS 12
#define PROOF_AT_SHIFT 52
#define PROOF_AT_BITS 8
#define SINCE_SHIFT 31
#define SINCE_BITS 16
#define HEARD_AT_SHIFT 47
#define HEARD_AT_BITS 16

#define FIELD_MASK(field) ((1ULL << field##_BITS) - 1)
#define STATE_GET(state, field) ((state) >> field##_SHIFT & FIELD_MASK(field))
#define STATE_WITH(state, field, value) \
	(((state) & ~(FIELD_MASK(field) << field##_SHIFT)) | ((u64)(value) & FIELD_MASK(field)) << field##_SHIFT)

/* The time in the units that a state has. */
struct clock {
	u64 now_us;
	u32 units;
	u32 period_us_bits;
};

static __always_inline u64 clock_period(const struct clock *clock)
{
	return clock->now_us >> clock->period_us_bits;
}

static __always_inline u64 clock_proof(const struct clock *clock)
{
	return clock->now_us / 1000000 >> 6;
}

static __always_inline u64 clock_good(const struct clock *clock)
{
	return clock->now_us / 1000000 >> 10;
}

/* Seen for the second time. */
static __always_inline u64 state_watched(const struct clock *clock)
{
	return STATE_WITH((u64)(clock->units & TAT_MASK), PERIOD, clock_period(clock));
}

static __always_inline u32 state_ahead(u64 state, const struct clock *clock)
{
	return gcra_ahead((u32)state & TAT_MASK, clock->units, TAT_MASK);
}

/* One more query. */
static __always_inline enum level state_ask(u64 *state, u32 cost, const struct clock *clock)
{
	u32 ahead = state_ahead(*state, clock);
	enum level level = gcra_step(&ahead, cost);

	*state = (*state & ~(u64)TAT_MASK) | ((clock->units + ahead) & TAT_MASK);
	return level;
}

/* Whether it is known to be good for long. */
static __always_inline int state_is_good(u64 state)
{
	return STATE_GET(state, STANDING) >= BEHAVED;
}

static __always_inline u64 state_proof_age(u64 state, const struct clock *clock)
{
	u64 age = (clock_proof(clock) - STATE_GET(state, PROOF_AT)) & FIELD_MASK(PROOF_AT);

	return age > PROOF_AGE_MAX ? 0 : age;
}

/* Whether it has proved a moment ago that it is where it says. */
static __always_inline int state_is_proven(u64 state, const struct clock *clock)
{
	u64 standing = STATE_GET(state, STANDING);

	return (standing == CONNECTED || standing == HAD_COOKIE) && state_proof_age(state, clock) < PROOF_UNITS;
}

/* It proves by a cookie where it is; what was learned of it stays. */
static __always_inline u64 state_prove(u64 state, const struct clock *clock)
{
	if (state_is_good(state))
		return state;
	state = STATE_WITH(state, STANDING, HAD_COOKIE);
	return STATE_WITH(state, PROOF_AT, clock_proof(clock));
}

/* A new period begins: the one before is reckoned up. */
static __always_inline u64 state_settle(u64 state, const struct clock *clock)
{
	u64 period = clock_period(clock) & FIELD_MASK(PERIOD);
	u64 periods = STATE_GET(state, GOOD_PERIODS);

	/* The clock of another lane may be a moment ahead. */
	if (((STATE_GET(state, PERIOD) - period) & FIELD_MASK(PERIOD)) <= 1)
		return state;
	if (STATE_GET(state, BAD) >= BAD_SPOILS)
		periods /= 2;
	else if (STATE_GET(state, HAD_GOOD) && periods < FIELD_MASK(GOOD_PERIODS))
		periods++;
	state = STATE_WITH(state, GOOD_PERIODS, periods);
	state = STATE_WITH(state, HAD_GOOD, 0);
	return STATE_WITH(state, PERIOD, period);
}

/* It behaved like this. */
static __always_inline u64 state_learn(u64 state, int is_good, const struct clock *clock)
{
	u64 bad;

	if (state_is_good(state))
		return STATE_WITH(state, HEARD_AT, clock_good(clock));
	state = state_settle(state, clock);
	bad = STATE_GET(state, BAD);
	if (is_good) {
		state = STATE_WITH(state, HAD_GOOD, 1);
		bad = bad ? bad - 1 : 0;
	} else {
		bad = bad + BAD_WEIGHT < BAD_MAX ? bad + BAD_WEIGHT : BAD_MAX;
	}
	return STATE_WITH(state, BAD, bad);
}

/* It behaved so badly that no period counts until it has had some good answers. */
static __always_inline u64 state_spoil(u64 state, const struct clock *clock)
{
	return state_is_good(state) ? state : STATE_WITH(state_settle(state, clock), BAD, BAD_MAX);
}

/* How many periods it has behaved well in. */
static __always_inline u64 state_good_periods(u64 state)
{
	return state_is_good(state) ? 0 : STATE_GET(state, GOOD_PERIODS);
}

/* From now on it is known to be good. */
static __always_inline u64 state_promote(u64 state, const struct clock *clock)
{
	u64 good = clock_good(clock);
	u64 fresh = STATE_WITH(state & TAT_MASK, STANDING, BEHAVED);

	return STATE_WITH(STATE_WITH(fresh, SINCE, good), HEARD_AT, good);
}

/* Who is pushed out first has the lowest. */
static __always_inline u64 state_rank(u64 state, const struct clock *clock)
{
	u64 age, periods;

	if (state_is_good(state))
		return RANK_GOOD;
	if (state_is_proven(state, clock))
		return RANK_PROVEN + PROOF_UNITS - state_proof_age(state, clock);
	age = (clock_period(clock) - STATE_GET(state, PERIOD)) & FIELD_MASK(PERIOD);
	periods = age > STALE_PERIODS ? 0 : STATE_GET(state, GOOD_PERIODS);
	return (periods << PERIOD_BITS) + FIELD_MASK(PERIOD) - age + 1;
}

/* The filters' word on a question. */
#pragma once
#include "work.h"

/* On what was found for it. */
static __always_inline enum verdict filters_answer(struct work *work)
{
	return VERDICT_SERVE;
}

/* On one whose answer is not at hand: VERDICT_DROP if it would not be answered whatever is found, else VERDICT_ABOVE. */
static __always_inline enum verdict filters_absent(struct work *work)
{
	return VERDICT_ABOVE;
}

/* Where random names are asked for: filters/src/names/suffix.rs. (Not yet: none is random.) */
#pragma once
#include "work.h"

/* What a name that does not exist is worth: a FINDING_... or a penalty. */
static __always_inline u32 random_name(struct work *work)
{
	return FINDING_FINE;
}

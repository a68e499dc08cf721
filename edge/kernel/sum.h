/* Sums of UDP and IP headers (RFC 1071): of numbers of 16 bits as they lie in memory, whatever order of bytes that is. */
#pragma once
#include "maps.h"

/* As 16 bits, of a sum of words of 32 bits, or of halves of them. */
static __always_inline u16 fold_sum(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16));
}

/* What eight octets add to such a sum. */
static __always_inline u64 halves(u64 word)
{
	return (u32)word + (word >> 32);
}

/* What a sum of 16 bits adds to another, if it begins at such an offset. */
static __always_inline u64 placed(u16 sum, u32 at)
{
	return at & 1 ? __builtin_bswap16(sum) : sum;
}

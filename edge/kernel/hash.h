/* The hash function of `filters` (filters/src/hash.rs), function by function: what is found by it there has to be found
 * here. Both read the secrets from the array `policy`. */
#pragma once
#include "maps.h"

/* Keep IPv4 and IPv6 apart. */
#define IPV4_TAG 0x9e3779b97f4a7c15ULL
#define IPV6_TAG 0xc2b2ae3d27d4eb4fULL

/* Makes each bit of a type count in both halves of a hash. */
#define QTYPE_SPREAD 0x9e3779b97f4a7c15ULL

/* A hash function with a secret. */
struct hasher {
	u64 secret[4];
};

/* The words of `policy`; 0 if there is no such array, which is never so. */
static __always_inline const u64 *policy_words(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&policy, &zero);
}

/* The function of which the secret stands at this place. */
static __always_inline const struct hasher *hasher_in(const u64 *policy, u32 place)
{
	return (const struct hasher *)(policy + place);
}

/* Both halves of the product of 128 bits. */
static __always_inline u64 fold(u64 a, u64 b)
{
	u64 a_low = (u32)a, a_high = a >> 32;
	u64 b_low = (u32)b, b_high = b >> 32;
	u64 middle = a_high * b_low + (a_low * b_low >> 32);
	u64 other = a_low * b_high + (u32)middle;

	return (a * b) ^ (a_high * b_high + (middle >> 32) + (other >> 32));
}

/* Of two numbers. */
static __always_inline u64 hash_words(const struct hasher *hasher, u64 a, u64 b)
{
	const u64 *secret = hasher->secret;

	return fold(fold(a ^ secret[0], b ^ secret[1]) ^ secret[2] ^ a, secret[3] ^ b);
}

/* Eight bytes, wherever they stand. */
static __always_inline u64 word_at(const void *at)
{
	return *(const u64 *)at;
}

/* Of bytes that are in lower case already: a name, the end of one, or a label. At least one, at most NAME_BYTES_MAX; behind
 * `at` so many may be read and eight more, whatever stands there. */
static __always_inline u64 hash_bytes(const struct hasher *hasher, const void *at, u32 bytes)
{
	const u64 *secret = hasher->secret;
	u64 hash = secret[0] ^ bytes;
	u64 last;

	if (bytes < 1 || bytes > NAME_BYTES_MAX)
		return 0;
	if (bytes < 8) {
		last = __builtin_bswap64(word_at(at)) >> (64 - 8 * bytes);
	} else {
#pragma unroll
		for (u32 i = 0; i < NAME_BYTES_MAX / 8; i++) {
			if (8 * i + 8 > bytes)
				break;
			hash = fold(word_at(at + 8 * i) ^ secret[1], hash ^ secret[2]);
		}
		/* The last eight once more, whatever part of them was taken already. */
		last = word_at(at + (bytes - 8));
	}
	return fold(last ^ secret[1], hash ^ secret[3]);
}

/* The same by the function that all tables share for names. */
static __always_inline u64 hash_lower_case(const void *at, u32 bytes)
{
	const u64 *policy = policy_words();

	return policy ? hash_bytes(hasher_in(policy, POLICY_NAME_SECRET), at, bytes) : 0;
}

/* All maps of the program. Their sizes as they stand here are the least; the loader makes `tags`, `slots` and `texts` larger. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "layout.h"

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define SHARED_ARRAY(name, bytes, elements)                 \
	struct {                                            \
		__uint(type, BPF_MAP_TYPE_ARRAY);           \
		__uint(map_flags, BPF_F_MMAPABLE);          \
		__uint(max_entries, elements);              \
		__uint(key_size, sizeof(u32));              \
		__uint(value_size, bytes);                  \
	} name SEC(".maps")

SHARED_ARRAY(policy, POLICY_WORDS * 8, 1);
SHARED_ARRAY(generations, 8, GENERATIONS);
SHARED_ARRAY(tags, WAYS * 2, 1);
SHARED_ARRAY(slots, SLOT_BYTES, WAYS);
SHARED_ARRAY(texts, TEXT_BYTES, WAYS);
SHARED_ARRAY(exists, 8, EXISTS_WORDS);
SHARED_ARRAY(covers, 8, COVERS_WORDS);
SHARED_ARRAY(counters, COUNTER_WORDS * 8, CPUS_MAX);

struct service {
	u8 address[16];
	u16 port;
	u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICES_MAX);
	__type(key, struct service);
	__type(value, u8);
} services SEC(".maps");

#include "filter_maps.h"

static __always_inline u64 policy_word(u32 place)
{
	u32 zero = 0;
	u64 *words = bpf_map_lookup_elem(&policy, &zero);

	return words && place < POLICY_WORDS ? words[place] : 0;
}

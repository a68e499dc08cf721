/* Answers at hand: found by their key, copied out of their slots while nobody writes them, and counted down if their TTLs do.
 * What is not sure is not given. */
#pragma once
#include <stddef.h>
#include "question.h"
#include "work.h"

/* An element of `slots`, as layout.h has it. */
struct slot {
	u64 seq;
	u64 key;
	u32 zone;
	u32 generation;
	u32 epoch;
	u32 ttl_s;
	u64 valid_us;
	u64 stored_us;
	u64 used_us;
	u64 hits;
	u64 subject;
	u16 flags;
	u16 qtype;
	u16 counts[3];
	u16 body_bytes;
	u16 body_sum;
	u8 name_bytes;
	u8 kind;
	u8 dnssec_ok;
	u8 is_hit;
	u8 fixups;
	u8 fixup_kind;
	u8 question_name_bytes;
	u8 apex_bytes;
	u8 unused[2];
	u64 name[NAME_BYTES_MAX / 8];
	u64 body[BODY_BYTES_MAX / 8];
};

#define STANDS_AT(field, place) _Static_assert(offsetof(struct slot, field) == place, "as in layout.h")
STANDS_AT(key, SLOT_KEY);
STANDS_AT(zone, SLOT_ZONE);
STANDS_AT(generation, SLOT_GENERATION);
STANDS_AT(epoch, SLOT_EPOCH);
STANDS_AT(ttl_s, SLOT_TTL_S);
STANDS_AT(valid_us, SLOT_VALID_US);
STANDS_AT(stored_us, SLOT_STORED_US);
STANDS_AT(used_us, SLOT_USED_US);
STANDS_AT(hits, SLOT_HITS);
STANDS_AT(subject, SLOT_SUBJECT);
STANDS_AT(flags, SLOT_FLAGS);
STANDS_AT(qtype, SLOT_QTYPE);
STANDS_AT(counts, SLOT_ANCOUNT);
STANDS_AT(body_bytes, SLOT_BODY_BYTES);
STANDS_AT(body_sum, SLOT_BODY_SUM);
STANDS_AT(name_bytes, SLOT_NAME_BYTES);
STANDS_AT(kind, SLOT_KIND);
STANDS_AT(dnssec_ok, SLOT_DNSSEC_OK);
STANDS_AT(is_hit, SLOT_IS_HIT);
STANDS_AT(fixups, SLOT_FIXUPS);
STANDS_AT(fixup_kind, SLOT_FIXUP_KIND);
STANDS_AT(question_name_bytes, SLOT_QUESTION_NAME_BYTES);
STANDS_AT(apex_bytes, SLOT_APEX_BYTES);
STANDS_AT(name, SLOT_NAME);
STANDS_AT(body, SLOT_BODY);
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "as in layout.h");

#define SECOND_US 1000000

/* There is an answer, and it is in `work`; everything below is a reason to pass the packet up. */
#define ANSWER_FOUND PASSES

#define UNSIGNED_(number) number##ULL
#define UNSIGNED(number) UNSIGNED_(number)

static __always_inline u64 answer_key(u64 name_hash, u16 qtype, u8 dnssec_ok)
{
	u64 key = name_hash + UNSIGNED(KEY_FACTOR) * (2 * (u64)qtype + (dnssec_ok != 0));

	return key ? key : 1;
}

/* The number of the slot that has this key; WAYS or more if there is none. */
static __always_inline struct slot *find_slot(u64 key, u32 *number)
{
	u32 set = (u32)(key >> KEY_SET_SHIFT) & (u32)policy_word(POLICY_SET_MASK);
	u64 *keys = bpf_map_lookup_elem(&tags, &set);
	u32 way = WAYS;

	if (!keys)
		return 0;
#pragma unroll
	for (u32 i = 0; i < WAYS; i++)
		way = keys[i] == key ? i : way;
	if (way == WAYS)
		return 0;
	*number = set * WAYS + way;
	return bpf_map_lookup_elem(&slots, number);
}

/* Whether the slot has the part of the name that begins at `at`. */
static __always_inline int has_name(const struct work *work, const struct slot *slot, u32 at)
{
	const u8 *name = (const u8 *)work->name + (at & (NAME_BYTES_MAX - 1));
	u32 bytes = work->name_bytes - at;
	u64 differs = 0;

	if (slot->name_bytes != bytes)
		return 0;
	for (u32 i = 0; i < NAME_BYTES_MAX / 8; i++) {
		u32 rest = bytes - 8 * i;

		if (rest <= 8)
			return !differs && !((*(u64 *)(name + 8 * i) ^ slot->name[i]) << (64 - 8 * rest));
		differs |= *(u64 *)(name + 8 * i) ^ slot->name[i];
	}
	return 0;
}

/* Whether nothing was published since the slot was written. */
static __always_inline int is_current(const struct slot *slot)
{
	u32 zero = 0, zone = slot->zone + 1;
	u64 *epoch = bpf_map_lookup_elem(&generations, &zero);
	u64 *generation = zone ? bpf_map_lookup_elem(&generations, &zone) : 0;
	u64 now, now_all;

	if (!epoch || !generation)
		return 0;
	now = *(volatile u64 *)generation;
	now_all = *(volatile u64 *)epoch;
	return !((now | now_all) & 1) && (u32)now == slot->generation && (u32)now_all == slot->epoch;
}

static __always_inline void set_u16(struct work *work, u32 at, u16 number)
{
	u16 *place = (u16 *)((u8 *)work->body + at);

	work->body_sum += placed((u16)~*place, at) + placed(number, at);
	*place = number;
}

static __always_inline void count_down(struct work *work, u32 at, u32 age_s)
{
	u32 ttl_s = bpf_ntohl(*(u32 *)((u8 *)work->body + at));

	ttl_s = bpf_htonl(ttl_s > age_s ? ttl_s - age_s : 0);
	set_u16(work, at, (u16)ttl_s);
	set_u16(work, at + 2, (u16)(ttl_s >> 16));
}

/* Makes the copy of the body right for this question at this time. */
static __always_inline int fix_up(struct work *work, const struct slot *slot, u32 age_s)
{
	const u16 *ends = (const u16 *)(slot + 1);
	u16 longer = work->name_bytes - slot->question_name_bytes;

	for (u32 i = 0; i < FIXUPS_MAX && i < slot->fixups; i++) {
		u32 at = *(ends - 1 - i);

		if (at > BODY_BYTES_MAX - 4)
			return 0;
		if (slot->fixup_kind == FIXUP_TTL)
			count_down(work, at, age_s);
		else
			set_u16(work, at, bpf_htons(u16_at((u8 *)work->body + at) + longer));
	}
	return 1;
}

static __always_inline void copy_body(struct work *work, const struct slot *slot)
{
	for (u32 i = 0; i < BODY_BYTES_MAX / 8; i++) {
		if (8 * i >= work->body_bytes)
			break;
		work->body[i] = slot->body[i];
	}
}

/* Takes the answer for the part of the name that begins at its octet `at` and has this hash, if there is one that holds: with
 * a type of 0, what all names get that do not exist. ANSWER_FOUND, or a reason to pass the packet up. */
__noinline int take_answer(struct work *work, u32 at, u64 hash, u16 qtype, u8 dnssec_ok)
{
	struct slot *slot;
	u64 seq, key;
	u32 age_s = 0;

	if (!work)
		return PASS_ABSENT;
	key = answer_key(hash, qtype, dnssec_ok);
	slot = find_slot(key, &work->slot);
	if (!slot)
		return PASS_ABSENT;
	seq = *(volatile u64 *)&slot->seq;
	if (seq & 1)
		return PASS_BUSY;
	read_barrier();
	if (slot->key != key || slot->qtype != qtype || slot->dnssec_ok != dnssec_ok || !has_name(work, slot, at))
		return PASS_ABSENT;
	if (!is_current(slot))
		return PASS_OLD;
	if (slot->valid_us | slot->stored_us) {
		u64 now_us = exact_us();

		if (slot->valid_us && now_us >= slot->valid_us)
			return PASS_OLD;
		if (slot->stored_us && now_us > slot->stored_us)
			age_s = (u32)((now_us - slot->stored_us) / SECOND_US);
	}
	work->found.subject = slot->subject;
	work->found.zone = slot->zone;
	work->found.ttl_s = slot->ttl_s > age_s ? slot->ttl_s - age_s : 0;
	work->found.kind = slot->kind;
	work->found.is_hit = slot->is_hit;
	work->found.apex_bytes = slot->apex_bytes;
	work->answer_flags = slot->flags;
	work->answer_counts[0] = slot->counts[0];
	work->answer_counts[1] = slot->counts[1];
	work->answer_counts[2] = slot->counts[2];
	work->body_bytes = slot->body_bytes;
	work->body_sum = bpf_htons(slot->body_sum);
	if (work->body_bytes > BODY_BYTES_MAX)
		return PASS_BUSY;
	copy_body(work, slot);
	if (slot->fixups && !fix_up(work, slot, age_s))
		return PASS_BUSY;
	read_barrier();
	return *(volatile u64 *)&slot->seq == seq ? ANSWER_FOUND : PASS_BUSY;
}

/* The answer was given. */
static __always_inline void count_use(const struct work *work)
{
	struct slot *slot = bpf_map_lookup_elem(&slots, &work->slot);

	if (!slot)
		return;
	__sync_fetch_and_add(&slot->hits, 1);
	if (work->now_us - slot->used_us > SECOND_US)
		slot->used_us = work->now_us;
}

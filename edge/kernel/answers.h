/* Answers at hand: found by their key, copied out of their slots while nobody writes them, and counted down if their TTLs do.
 * What is not sure is not given. */
#pragma once
#include <stddef.h>
#include "question.h"
#include "work.h"

#define TEXT_WORDS ((NAME_BYTES_MAX + BODY_BYTES_MAX) / 8)

/* An element of `slots`, as layout.h has it. */
struct slot {
	u64 seq;
	u64 key;
	u32 zone;
	u32 generation;
	u32 epoch;
	u32 ttl_s;
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
	u8 is_long;
	u8 unused;
	u32 used;
	u32 hits;
	u64 text[SHORT_WORDS];
};

/* An element of `texts`. */
struct text {
	u64 words[TEXT_WORDS];
	u64 valid_us;
	u64 stored_us;
};

#define STANDS_AT(field, place) _Static_assert(offsetof(struct slot, field) == place, "as in layout.h")
STANDS_AT(key, SLOT_KEY);
STANDS_AT(zone, SLOT_ZONE);
STANDS_AT(generation, SLOT_GENERATION);
STANDS_AT(epoch, SLOT_EPOCH);
STANDS_AT(ttl_s, SLOT_TTL_S);
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
STANDS_AT(is_long, SLOT_IS_LONG);
STANDS_AT(used, SLOT_USED);
STANDS_AT(hits, SLOT_HITS);
STANDS_AT(text, SLOT_TEXT);
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "as in layout.h");
_Static_assert(sizeof(struct text) == TEXT_BYTES, "as in layout.h");
_Static_assert(offsetof(struct text, valid_us) == TEXT_VALID_US, "as in layout.h");

#define SECOND_US 1000000

/* There is an answer, and it is in `work`; everything below is a reason to pass the packet up. */
#define ANSWER_FOUND PASSES

#define UNSIGNED_(number) number##ULL
#define UNSIGNED(number) UNSIGNED_(number)

static __always_inline u64 answer_key(u64 name_hash, u16 qtype, u8 dnssec_ok)
{
	return name_hash + UNSIGNED(KEY_FACTOR) * (2 * (u64)qtype + (dnssec_ok != 0));
}

#define TAG_ONES 0x0001000100010001ULL
#define TAGS_IN_WORD 4
/* Keys of the same set with the same tag that are looked at: of a thousand full sets one has two. */
#define CANDIDATES 3

/* The ways of a set that have a tag: the highest bit of each, and perhaps of some above it. */
static __always_inline u64 tags_equal(u64 word, u64 tag)
{
	u64 differences = word ^ (tag * TAG_ONES);

	return (differences - TAG_ONES) & ~differences & (TAG_ONES << 15);
}

/* Of such bits the lowest, as a number of its word. */
static __always_inline u32 first_tag(u64 bits)
{
	return ((bits & -bits) >> 15) * 0x0000000100020003ULL >> 48 & (TAGS_IN_WORD - 1);
}

/* The set of a key, and the number of the slot in it that the key has if it can. */
static __always_inline u32 home_of(u64 key, u32 *set)
{
	*set = (u32)(key >> KEY_SET_SHIFT) & (u32)policy_word(POLICY_SET_MASK);
	return *set * WAYS + (u32)(key >> KEY_WAY_SHIFT) % WAYS;
}

/* Has the slot on its way that most probably has this key. */
static __always_inline void expect_answer(u64 key)
{
	u32 set, home = home_of(key, &set);
	struct slot *slot = bpf_map_lookup_elem(&slots, &home);

	if (!slot)
		return;
	touch(slot);
	touch(slot->text);
}

/* The number of the slot that has this key elsewhere in its set; -1 if none has. */
__noinline int find_elsewhere(u64 key, u32 set)
{
	u64 *words = bpf_map_lookup_elem(&tags, &set), tag = key >> KEY_TAG_SHIFT, first, second;

	if (!words)
		return -1;
	tag = tag ? tag : 1;
	first = tags_equal(words[0], tag);
	second = tags_equal(words[1], tag);
	for (u32 i = 0; i < CANDIDATES && (first | second); i++) {
		struct slot *slot;
		u32 number;

		if (first) {
			number = set * WAYS + first_tag(first);
			first &= first - 1;
		} else {
			number = set * WAYS + TAGS_IN_WORD + first_tag(second);
			second &= second - 1;
		}
		slot = bpf_map_lookup_elem(&slots, &number);
		if (!slot)
			return -1;
		if (slot->key == key)
			return number;
	}
	return -1;
}

/* The slot that has this key, and its number; 0 if there is none. */
static __always_inline struct slot *find_slot(u64 key, u32 *number)
{
	u32 set;
	struct slot *slot;
	int elsewhere;

	*number = home_of(key, &set);
	slot = bpf_map_lookup_elem(&slots, number);
	if (!slot || slot->key == key)
		return slot;
	elsewhere = find_elsewhere(key, set);
	if (elsewhere < 0)
		return 0;
	*number = elsewhere;
	return bpf_map_lookup_elem(&slots, number);
}

/* Whether these words are the part of the name that begins at `at`. */
static __always_inline int has_name(const struct work *work, const u64 *words, u32 words_max, u32 at)
{
	const u8 *name = (const u8 *)work->name + (at & (NAME_BYTES_MAX - 1));
	u32 bytes = work->name_bytes - at;
	u64 differs = 0;

	for (u32 i = 0; i < words_max && i < NAME_BYTES_MAX / 8; i++) {
		u32 rest = bytes - 8 * i;

		if (rest <= 8)
			return !differs && !((*(u64 *)(name + 8 * i) ^ words[i]) << (64 - 8 * rest));
		differs |= *(u64 *)(name + 8 * i) ^ words[i];
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
static __always_inline int fix_up(struct work *work, const struct slot *slot, const struct text *text, u32 age_s)
{
	const u16 *ends = (const u16 *)((const u8 *)text + TEXT_FIXUPS_END);
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

/* What of a slot does not depend on whether it is long. */
static __always_inline void take_found(struct work *work, const struct slot *slot, u32 age_s)
{
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
}

/* Name and body stand in the slot, the body behind the name's last word. */
static __always_inline int take_short(struct work *work, const struct slot *slot, u32 at)
{
	u32 name_words = (slot->name_bytes + 7U) / 8, words = (slot->body_bytes + 7U) / 8;

	if (!has_name(work, slot->text, SHORT_WORDS, at))
		return PASS_ABSENT;
	if (!is_current(slot))
		return PASS_OLD;
	take_found(work, slot, 0);
	if (name_words + words > SHORT_WORDS)
		return PASS_BUSY;
	for (u32 i = 0; i < SHORT_WORDS - 1; i++) {
		u32 from = name_words + i;

		/* The verifier knows less than the compiler of how these are bound. */
		verified(from);
		if (i >= words || from >= SHORT_WORDS)
			break;
		work->body[i] = slot->text[from];
	}
	return ANSWER_FOUND;
}

/* They stand in `texts`. Apart, so that the verifier goes this way once. */
__noinline int take_long(struct work *work, u32 at)
{
	const struct slot *slot;
	const struct text *text;
	const u64 *body;
	u32 age_s = 0, number, name_words;

	if (!work)
		return PASS_ABSENT;
	number = work->slot;
	slot = bpf_map_lookup_elem(&slots, &number);
	text = bpf_map_lookup_elem(&texts, &number);
	if (!slot || !text || !has_name(work, text->words, TEXT_WORDS, at))
		return PASS_ABSENT;
	if (!is_current(slot))
		return PASS_OLD;
	if (slot->fixup_kind == FIXUP_TTL) {
		u64 now_us = exact_us();

		if (text->valid_us && now_us >= text->valid_us)
			return PASS_OLD;
		if (text->stored_us && now_us > text->stored_us)
			age_s = (u32)((now_us - text->stored_us) / SECOND_US);
	}
	take_found(work, slot, age_s);
	name_words = (slot->name_bytes + 7U) / 8;
	if (name_words > NAME_BYTES_MAX / 8 || work->body_bytes > BODY_BYTES_MAX)
		return PASS_BUSY;
	body = text->words + name_words;
	for (u32 i = 0; i < BODY_BYTES_MAX / 8; i++) {
		if (8 * i >= work->body_bytes)
			break;
		work->body[i] = body[i];
	}
	return slot->fixups && !fix_up(work, slot, text, age_s) ? PASS_BUSY : ANSWER_FOUND;
}

/* Takes the answer for the part of the name that begins at its octet `at` and has this hash, if there is one that holds: with
 * a type of 0, what all names get that do not exist. ANSWER_FOUND, or a reason to pass the packet up. */
__noinline int take_answer(struct work *work, u32 at, u64 hash, u16 qtype, u8 dnssec_ok)
{
	struct slot *slot;
	u64 seq, key;
	int reason;

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
	if (slot->key != key || slot->qtype != qtype || slot->dnssec_ok != dnssec_ok ||
	    slot->name_bytes != work->name_bytes - at)
		return PASS_ABSENT;
	reason = slot->is_long ? take_long(work, at) : take_short(work, slot, at);
	read_barrier();
	return *(volatile u64 *)&slot->seq == seq ? reason : PASS_BUSY;
}

/* The answer was given. */
static __always_inline void count_use(const struct work *work)
{
	struct slot *slot = bpf_map_lookup_elem(&slots, &work->slot);
	u32 now = work->now_us >> USED_US_BITS;

	if (!slot)
		return;
	if (work->found.is_hit || policy_word(POLICY_COUNT_USES))
		__sync_fetch_and_add(&slot->hits, 1);
	if (slot->used != now)
		slot->used = now;
}

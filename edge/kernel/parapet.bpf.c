/* The kernel lane: answers from a map, before the network stack sees the packet. What it is not sure of it passes up to the
 * sockets, unchanged: so it can never be wrong, only absent.
 *
 *   packet.h ──> question.h ──> answers.h, names.h ──> filters.h ──> reply.h
 *   Ethernet,     name, EDNS,     the answer, or that     its verdict,   written in place,
 *   IP, UDP       cookie.h        there is no such name   counted        XDP_TX
 */
#include "answers.h"
#include "cookie.h"
#include "filters.h"
#include "names.h"
#include "packet.h"
#include "question.h"
#include "reply.h"
#include "stats.h"
#include "work.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct work);
} works SEC(".maps");

static __always_inline int pass(const struct work *work, u32 reason)
{
	count_passed(work, reason);
	return XDP_PASS;
}

static __always_inline int drop(const struct work *work)
{
	count_dropped(work);
	return XDP_DROP;
}

/* The lane is on, and its daemon alive. Sets the time. */
static __always_inline int is_on(struct work *work)
{
	u32 zero = 0;
	u64 *words = bpf_map_lookup_elem(&policy, &zero);

	if (!words || !words[POLICY_ON])
		return 0;
	work->now_us = words[POLICY_STILL_US];
	if (!work->now_us)
		work->now_us = bpf_ktime_get_coarse_ns() / 1000 + words[POLICY_FILTER_CLOCK_US];
	return (s64)(work->now_us - words[POLICY_BEAT_US]) <= (s64)words[POLICY_SILENT_US];
}

/* Copies the message out of the frame, and reads it. */
static __always_inline u32 read_message(struct work *work, struct xdp_md *context)
{
	u32 bytes = work->dns_bytes;

	if (bytes < HEADER_BYTES + 1 + QUESTION_END_BYTES || bytes > MESSAGE_BYTES_MAX)
		return PASS_UNUSUAL;
	if (bpf_xdp_load_bytes(context, work->dns_at, work->message, bytes))
		return PASS_PACKET;
	return read_question(work);
}

/* Writes what there is for the client into the frame, which is so much longer already. */
static __noinline int give(struct work *work, struct xdp_md *context, u32 flags, u32 opt, s32 grown)
{
	u32 bytes = question_end(work) + work->body_bytes + opt;
	s32 longer = work->dns_at + bytes - work->frame_bytes;

	flags |= work->flags & (FLAG_RD | FLAG_CD);
	if (!resize(context, longer - grown) || !write_reply(work, context, flags, opt)) {
		count_torn(work);
		return XDP_DROP;
	}
	count_answer(work, flags, bytes);
	return XDP_TX;
}

static __noinline int slip(struct work *work, struct xdp_md *context, s32 grown)
{
	u32 opt, flags = make_slip(work, &opt);
	int action = give(work, context, flags, opt, grown);

	if (action == XDP_TX)
		count_slip(work);
	return action;
}

/* What was found, as the filters let it be given. The frame is made long enough first: where that fails, nothing has been
 * counted yet. */
static __always_inline int answer(struct work *work, struct xdp_md *context)
{
	u32 opt = opt_bytes(work);
	s32 longer = work->dns_at + question_end(work) + work->body_bytes + opt - work->frame_bytes;
	s32 grown = longer > 0 ? longer : 0;
	enum verdict verdict;
	int action;

	if (!lengthen(work, context, grown))
		return pass(work, PASS_SIZE);
	verdict = filters_answer(work);
	if (verdict == VERDICT_DROP)
		return drop(work);
	if (verdict == VERDICT_SLIP)
		return slip(work, context, grown);
	action = give(work, context, work->answer_flags, opt, grown);
	if (action != XDP_TX)
		return action;
	count_use(work);
	if (work->found.is_hit)
		count_hit(work);
	return XDP_TX;
}

/* The filters have it dropped or slipped, whatever there is for it. */
static __always_inline int withhold(struct work *work, struct xdp_md *context, enum verdict verdict)
{
	work->front_bytes = 0;
	return verdict == VERDICT_DROP ? drop(work) : slip(work, context, 0);
}

/* There is no answer at hand, for this reason: passed up, unless the filters will not have it answered. */
static __always_inline int leave(struct work *work, struct xdp_md *context, u32 reason)
{
	enum verdict verdict = filters_absent(work);

	return verdict == VERDICT_ABOVE ? pass(work, reason) : withhold(work, context, verdict);
}

/* It was not read here, for this reason: passed up, unless its source alone has it dropped. */
static __always_inline int decline(struct work *work, u32 reason)
{
	if (reason == PASS_PACKET || may_be_proven(work) || filters_unread(work) == VERDICT_ABOVE)
		return pass(work, reason);
	return drop(work);
}

SEC("xdp")
int parapet(struct xdp_md *context)
{
	u32 zero = 0, reason;
	struct work *work = bpf_map_lookup_elem(&works, &zero);
	enum packet packet;
	int is_attacked;

	if (!work)
		return XDP_PASS;
	packet = read_packet(work, context);
	if (packet == PACKET_OTHER || !is_service(work))
		return XDP_PASS;
	/* What is far away in memory is on its way first. */
	reason = packet == PACKET_ODD ? PASS_PACKET : read_message(work, context);
	is_attacked = random_source_armed();
	if (reason == QUESTION_READ) {
		if (!is_attacked)
			expect_answer(answer_key(work->name_hash, work->qtype, work->dnssec_ok));
		filters_expect(work);
	}
	work->cpu = bpf_get_smp_processor_id();
	count_seen(work);
	if (!is_on(work))
		return pass(work, PASS_OFF);
	if (reason == QUESTION_READ && work->has_cookie)
		reason = check_cookie(work);
	work->absent = ABSENT_UNKNOWN;
	if (reason != QUESTION_READ)
		return decline(work, reason);
	/* Most of what comes is dropped for its source alone: nothing need be looked for. */
	if (is_attacked) {
		enum verdict verdict = filters_absent(work);

		if (verdict != VERDICT_ABOVE)
			return withhold(work, context, verdict);
	}
	reason = take_answer(work, 0, work->name_hash, work->qtype, work->dnssec_ok);
	if (reason == PASS_ABSENT)
		reason = find_nothing(work);
	if (reason == ANSWER_FOUND && question_end(work) + work->body_bytes + opt_bytes(work) > work->limit)
		reason = PASS_SIZE;
	if (reason == ANSWER_FOUND)
		return answer(work, context);
	return leave(work, context, reason);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* The answer's way out: header, question in the client's case, what was found, OPT; as edge/src/line/reply.rs writes it. */
#pragma once
#include "cookie.h"
#include "packet.h"
#include "question.h"
#include "stats.h"
#include "work.h"

/* An OPT record with a cookie option. */
#define OPT_COOKIE_BYTES (OPT_BYTES + OPTION_HEADER_BYTES + CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES)

/* What stands before the body: header and question. */
static __always_inline u32 question_end(const struct work *work)
{
	return HEADER_BYTES + work->name_bytes + QUESTION_END_BYTES;
}

/* Of the OPT record of the whole answer. */
static __always_inline u32 opt_bytes(const struct work *work)
{
	if (!work->has_edns)
		return 0;
	return work->has_cookie ? OPT_COOKIE_BYTES : OPT_BYTES;
}

/* Writes the OPT record (RFC 6891 §6.1.2) behind the body, in whole words; its sum, as if it began at an even offset. */
static __always_inline u64 write_opt(struct work *work, u32 at, u32 bytes)
{
	u64 ours = bpf_htons((u16)policy_word(POLICY_UDP_PAYLOAD_BYTES_MAX));
	u64 first = (u64)TYPE_OPT << 16 | ours << 24 | (work->dnssec_ok ? 0x80ULL << 56 : 0);
	u64 *out = (u64 *)((u8 *)work->body + at);
	const u64 *cookie = work->cookie;
	u64 words[OPT_WORDS];

	if (bytes != OPT_COOKIE_BYTES) {
		out[0] = first;
		out[1] = 0;
		return halves(first);
	}
	words[0] = first;
	/* The lengths of all options and of this one; its code between them. */
	words[1] = (u64)(OPT_COOKIE_BYTES - OPT_BYTES) << 16 | (u64)OPTION_COOKIE << 32 |
		   (u64)(CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES) << 48 | cookie[0] << 56;
	words[2] = cookie[0] >> 8 | cookie[1] << 56;
	words[3] = cookie[1] >> 8 | cookie[2] << 56;
	words[4] = cookie[2] >> 8;
#pragma unroll
	for (u32 i = 0; i < OPT_WORDS; i++)
		out[i] = words[i];
	return halves(words[0]) + halves(words[1]) + halves(words[2]) + halves(words[3]) + halves(words[4]);
}

/* Where the frame has a new beginning: what stood at the old one, and the question. */
static __always_inline int restore(struct work *work, struct xdp_md *context)
{
	u32 link = work->ip_at, question = question_end(work) - HEADER_BYTES;

	if (!work->front_bytes)
		return 1;
	if (link < 1 || link > LINK_BYTES_MAX || question < 1 || question > NAME_BYTES_MAX + QUESTION_END_BYTES)
		return 0;
	return !bpf_xdp_store_bytes(context, 0, work->link, link) &&
	       !bpf_xdp_store_bytes(context, work->dns_at + HEADER_BYTES, work->message + HEADER_BYTES, question);
}

/* Turns the query in the frame, whose length is right already, into the answer with these flags, what is in `body` behind the
 * question, and an OPT record of so many octets. */
static __always_inline int write_reply(struct work *work, struct xdp_md *context, u32 flags, u32 opt)
{
	u32 body = work->body_bytes;
	u64 sum = work->question_sum;
	u32 header[3];

	if (body > BODY_BYTES_MAX || opt > OPT_COOKIE_BYTES || !restore(work, context))
		return 0;
	header[0] = *(u16 *)work->message | (u32)bpf_htons(flags) << 16;
	header[1] = bpf_htons(1) | (u32)bpf_htons(work->answer_counts[0]) << 16;
	header[2] = bpf_htons(work->answer_counts[1]) | (u32)bpf_htons(work->answer_counts[2] + (opt != 0)) << 16;
	sum += (u64)header[0] + header[1] + header[2];
	/* Header, type and class have even lengths: the name's alone says where the body begins. */
	sum += placed(fold_sum(work->body_sum), work->name_bytes);
	if (opt)
		sum += placed(fold_sum(write_opt(work, body, opt)), work->name_bytes + body);
	if (body + opt && bpf_xdp_store_bytes(context, work->dns_at + question_end(work), work->body, body + opt))
		return 0;
	return write_headers(work, context, header, question_end(work) + body + opt, sum);
}

/* Makes the frame so much longer, or shorter, at its end. */
static __always_inline int resize(struct xdp_md *context, s32 bytes)
{
	return !bytes || !bpf_xdp_adjust_tail(context, bytes);
}

/* What every driver leaves free before a frame, but for what the kernel puts there when it sends it (struct xdp_frame). */
#define FRONT_BYTES_MAX (256 - 40)

/* Makes the frame so much longer. A virtual wire leaves hardly any room behind it: then some of it is made before it, and what
 * stands there moves when the answer is written. */
static __always_inline int lengthen(struct work *work, struct xdp_md *context, u32 bytes)
{
	u32 front = bytes < FRONT_BYTES_MAX ? bytes : FRONT_BYTES_MAX;

	work->front_bytes = 0;
	if (!bytes || (!policy_word(POLICY_ROOM_IN_FRONT) && resize(context, bytes)))
		return 1;
	if (bpf_xdp_load_bytes(context, 0, work->link, LINK_BYTES_MAX) || bpf_xdp_adjust_head(context, -(s32)front))
		return 0;
	if (!resize(context, bytes - front)) {
		bpf_xdp_adjust_head(context, front);
		return 0;
	}
	work->front_bytes = front;
	return 1;
}

/* What the filters let a query have that they would rather not answer: no more octets than it had itself. */
static __always_inline u32 make_slip(struct work *work, u32 *opt)
{
	work->body_bytes = 0;
	work->body_sum = 0;
	work->answer_counts[0] = work->answer_counts[1] = work->answer_counts[2] = 0;
	*opt = opt_bytes(work);
	if (question_end(work) + *opt > work->dns_bytes)
		*opt = OPT_BYTES;
	return FLAG_QR | FLAG_TC;
}

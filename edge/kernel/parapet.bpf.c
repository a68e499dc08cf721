/* The kernel lane: answers from a map, before the network stack sees the packet. What it is not sure of it passes up to the
 * sockets, unchanged: so it can never be wrong, only absent.
 *
 *   packet.h ──> question.h ──> answers.h, names.h ──> filters.h ──> packet.h
 *   Ethernet,     name, EDNS,     the answer, or that     its verdict,   written in place,
 *   IP, UDP       cookie.h        there is no such name   counted        XDP_TX
 */
#include "work.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct work);
} works SEC(".maps");

SEC("xdp")
int parapet(struct xdp_md *context __attribute__((unused)))
{
	u32 zero = 0;
	struct work *work = bpf_map_lookup_elem(&works, &zero);

	if (!work || !policy_word(POLICY_ON))
		return XDP_PASS;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

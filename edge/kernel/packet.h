/* From the frame to the DNS message in it, and back: Ethernet with up to two VLAN tags, IPv4, IPv6, UDP. What has options,
 * extension headers or fragments is not for this program. A query's UDP checksum is not looked at: over a virtual wire it is
 * not there yet, and over a real one the card has looked at it. */
#pragma once
#include "sum.h"
#include "work.h"

#define ETHERNET_BYTES 14
#define VLAN_BYTES 4
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define UDP_BYTES 8
/* Where an IP header begins: at most behind two tags (LINK_BYTES_MAX). The mask is for the verifier. */
#define IP_AT_MASK 31

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define PROTOCOL_UDP 17
#define HOPS 64
/* "Don't fragment", in the field with the offset of a fragment (RFC 791 §3.1). */
#define IPV4_WHOLE 0x4000

/* RFC 791 §3.1, without options; in network byte order, as all that stands in a packet. */
struct ipv4 {
	u8 version_length;
	u8 service;
	u16 bytes;
	u16 id;
	u16 fragment;
	u8 hops;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 target;
};

/* RFC 8200 §3 */
struct ipv6 {
	u32 version_class_flow;
	u16 bytes;
	u8 next;
	u8 hops;
	u64 source[2];
	u64 target[2];
};

/* RFC 768 */
struct udp {
	u16 source;
	u16 target;
	u16 bytes;
	u16 checksum;
};

/* What a frame turned out to be. */
enum packet { PACKET_OTHER, PACKET_ODD, PACKET_QUERY };

/* Whether the frame is for this machine. A switch that has forgotten where an address lives sends frames to all, and another
 * edge may have the same service address. */
static __always_inline int is_for_us(const u8 *frame)
{
	u32 zero = 0;
	u64 *words = bpf_map_lookup_elem(&policy, &zero);
	u64 mac = *(u32 *)frame | (u64)*(u16 *)(frame + 4) << 32;

	if (!words)
		return 0;
	if (!words[POLICY_MACS] || words[POLICY_MACS] == mac)
		return 1;
	for (u32 i = 1; i < MACS_MAX; i++)
		if (words[POLICY_MACS + i] == mac)
			return 1;
	return 0;
}

/* Nobody can be answered at such an address. */
static __always_inline int is_odd_ipv4(u32 address)
{
	u8 first = bpf_ntohl(address) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

/* Multicast; or of ::/64, where the unspecified, the loopback and mapped addresses are. */
static __always_inline int is_odd_ipv6(const u64 *address)
{
	return (u8)address[0] == 0xff || address[0] == 0;
}

static __always_inline enum packet read_udp(struct work *work, const struct udp *udp, u32 bytes)
{
	work->source_port = udp->source;
	work->target_port = udp->target;
	work->address_sum += (u64)udp->source + udp->target;
	work->dns_bytes = bytes - UDP_BYTES;
	return udp->source && bpf_ntohs(udp->bytes) == bytes ? PACKET_QUERY : PACKET_ODD;
}

static __always_inline enum packet read_ipv4(struct work *work, const u8 *at, const u8 *end)
{
	const struct ipv4 *ip = (const struct ipv4 *)at;
	const u32 *words = (const u32 *)at;
	u32 bytes;

	if (at + IPV4_BYTES + UDP_BYTES > end || ip->version_length != 0x45 || ip->protocol != PROTOCOL_UDP)
		return PACKET_OTHER;
	work->is_ipv6 = 0;
	__builtin_memset(work->source, 0, 32);
	*(u16 *)(work->source + 10) = *(u16 *)(work->target + 10) = 0xffff;
	*(u32 *)(work->source + 12) = ip->source;
	*(u32 *)(work->target + 12) = ip->target;
	work->address_sum = (u64)ip->source + ip->target;
	work->dns_at = work->ip_at + IPV4_BYTES + UDP_BYTES;
	bytes = bpf_ntohs(ip->bytes);
	if (ip->fragment & ~bpf_htons(IPV4_WHOLE) || bytes < IPV4_BYTES + UDP_BYTES ||
	    work->ip_at + bytes > work->frame_bytes || is_odd_ipv4(ip->source) ||
	    fold_sum((u64)words[0] + words[1] + words[2] + words[3] + words[4]) != 0xffff)
		bytes = 0;
	if (read_udp(work, (const struct udp *)(ip + 1), bytes - IPV4_BYTES) == PACKET_ODD)
		bytes = 0;
	return bytes ? PACKET_QUERY : PACKET_ODD;
}

static __always_inline enum packet read_ipv6(struct work *work, const u8 *at, const u8 *end)
{
	const struct ipv6 *ip = (const struct ipv6 *)at;
	u64 *source = (u64 *)work->source, *target = (u64 *)work->target;
	u32 bytes;

	if (at + IPV6_BYTES + UDP_BYTES > end || at[0] >> 4 != 6 || ip->next != PROTOCOL_UDP)
		return PACKET_OTHER;
	work->is_ipv6 = 1;
	source[0] = ip->source[0];
	source[1] = ip->source[1];
	target[0] = ip->target[0];
	target[1] = ip->target[1];
	work->address_sum = halves(source[0]) + halves(source[1]) + halves(target[0]) + halves(target[1]);
	work->dns_at = work->ip_at + IPV6_BYTES + UDP_BYTES;
	bytes = bpf_ntohs(ip->bytes);
	if (bytes < UDP_BYTES || work->ip_at + IPV6_BYTES + bytes > work->frame_bytes || is_odd_ipv6(source))
		bytes = 0;
	/* Here a checksum must be there (RFC 8200 §8.1). */
	if (read_udp(work, (const struct udp *)(ip + 1), bytes) == PACKET_ODD || !((const struct udp *)(ip + 1))->checksum)
		bytes = 0;
	return bytes ? PACKET_QUERY : PACKET_ODD;
}

/* Reads the headers. What they say is in `work` but for PACKET_OTHER, where addresses and ports cannot be seen. */
static __always_inline enum packet read_packet(struct work *work, const struct xdp_md *context)
{
	const u8 *frame = (const u8 *)(long)context->data, *end = (const u8 *)(long)context->data_end;
	u32 at = ETHERNET_BYTES;
	u16 type;

	if (frame + ETHERNET_BYTES > end || !is_for_us(frame))
		return PACKET_OTHER;
	type = bpf_ntohs(*(u16 *)(frame + 12));
#pragma unroll
	for (u32 tag = 0; tag < 2; tag++) {
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ)
			break;
		if (frame + at + VLAN_BYTES > end)
			return PACKET_OTHER;
		type = bpf_ntohs(*(u16 *)(frame + at + 2));
		at += VLAN_BYTES;
	}
	work->frame_bytes = end - frame;
	work->ip_at = at;
	/* From here on the verifier need not know which of them it is. */
	compiler_barrier();
	at = work->ip_at & IP_AT_MASK;
	if (type == ETHERTYPE_IPV4)
		return read_ipv4(work, frame + at, end);
	return type == ETHERTYPE_IPV6 ? read_ipv6(work, frame + at, end) : PACKET_OTHER;
}

/* Looks the address and port up, and remembers them. */
static __noinline int find_service(struct work *work, u64 number)
{
	struct service service = {.port = work->target_port};
	const u64 *target = (const u64 *)work->target;

	__builtin_memcpy(service.address, work->target, 16);
	if (!bpf_map_lookup_elem(&services, &service))
		return 0;
	work->service[0] = target[0];
	work->service[1] = target[1];
	work->service_port = work->target_port;
	work->service_known = number;
	return 1;
}

/* Whether this node answers at the address and port: mostly it is the same that was asked before. */
static __always_inline int is_service(struct work *work)
{
	u64 number = policy_word(POLICY_SERVICES);
	const u64 *target = (const u64 *)work->target;

	return (number && work->service_known == number && work->service[0] == target[0] &&
		work->service[1] == target[1] && work->service_port == work->target_port) ||
	       find_service(work, number);
}

static __always_inline void swap_macs(u8 *frame)
{
	u32 first = *(u32 *)frame, other_first = *(u32 *)(frame + 6);
	u16 rest = *(u16 *)(frame + 4), other_rest = *(u16 *)(frame + 10);

	*(u32 *)frame = other_first;
	*(u16 *)(frame + 4) = other_rest;
	*(u32 *)(frame + 6) = first;
	*(u16 *)(frame + 10) = rest;
}

/* `sum` is that of the message. What adds up to nothing is sent as ones: 0 says that there is no checksum. */
static __always_inline void write_udp(const struct work *work, struct udp *udp, u32 bytes, u64 sum)
{
	u16 folded;

	udp->source = work->target_port;
	udp->target = work->source_port;
	udp->bytes = bpf_htons(bytes);
	folded = ~fold_sum(sum + work->address_sum + 2 * (u64)bpf_htons(bytes) + bpf_htons(PROTOCOL_UDP));
	udp->checksum = folded ? folded : 0xffff;
}

static __always_inline void write_ipv4(const struct work *work, struct ipv4 *ip, u32 bytes)
{
	u32 *words = (u32 *)ip;
	u32 source = *(u32 *)(work->source + 12), target = *(u32 *)(work->target + 12);

	ip->version_length = 0x45;
	ip->service = 0;
	ip->bytes = bpf_htons(IPV4_BYTES + bytes);
	/* It is never fragmented, and so needs no number (RFC 6864 §4.1). */
	ip->id = 0;
	ip->fragment = bpf_htons(IPV4_WHOLE);
	ip->hops = HOPS;
	ip->protocol = PROTOCOL_UDP;
	ip->checksum = 0;
	ip->source = target;
	ip->target = source;
	ip->checksum = ~fold_sum((u64)words[0] + words[1] + words[2] + source + target);
}

static __always_inline void write_ipv6(const struct work *work, struct ipv6 *ip, u32 bytes)
{
	const u64 *source = (const u64 *)work->source, *target = (const u64 *)work->target;

	ip->version_class_flow = bpf_htonl(6U << 28);
	ip->bytes = bpf_htons(bytes);
	ip->next = PROTOCOL_UDP;
	ip->hops = HOPS;
	ip->source[0] = target[0];
	ip->source[1] = target[1];
	ip->target[0] = source[0];
	ip->target[1] = source[1];
}

static __always_inline void write_words(u32 *out, const u32 header[3])
{
	out[0] = header[0];
	out[1] = header[1];
	out[2] = header[2];
}

/* Turns the headers round, for a message of so many octets with this sum, and writes its own. The frame has its length
 * already; whatever tags it has stay. 0 if the verifier's doubts were right. */
static __always_inline int write_headers(const struct work *work, const struct xdp_md *context, const u32 header[3],
					 u32 dns_bytes, u64 sum)
{
	u8 *frame = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end;
	u8 *ip = frame + (work->ip_at & IP_AT_MASK);
	u32 bytes = UDP_BYTES + dns_bytes;

	if (frame + ETHERNET_BYTES > end || ip + IPV4_BYTES + UDP_BYTES + HEADER_BYTES > end)
		return 0;
	swap_macs(frame);
	if (!work->is_ipv6) {
		write_ipv4(work, (struct ipv4 *)ip, bytes);
		write_udp(work, (struct udp *)(ip + IPV4_BYTES), bytes, sum);
		write_words((u32 *)(ip + IPV4_BYTES + UDP_BYTES), header);
		return 1;
	}
	if (ip + IPV6_BYTES + UDP_BYTES + HEADER_BYTES > end)
		return 0;
	write_ipv6(work, (struct ipv6 *)ip, bytes);
	write_udp(work, (struct udp *)(ip + IPV6_BYTES), bytes, sum);
	write_words((u32 *)(ip + IPV6_BYTES + UDP_BYTES), header);
	return 1;
}

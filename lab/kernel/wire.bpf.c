/* The lab's own XDP programs for the ends of its wires. It compiles them when one is asked for (src/xdp.rs).
 *
 * echo: the limit of what an XDP program can answer. Every DNS query over IPv4 goes back as it came, with QR set and the
 * addresses turned round. It looks nothing up, checks nothing and counts nothing.
 *
 * pass: does nothing. A veth wakes up for what an XDP program sends to it only where it has one itself. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DNS_PORT 53
#define DNS_HEADER_BYTES 12
#define QR 0x80

SEC("xdp")
int echo(struct xdp_md *context)
{
	void *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = (void *)(long)context->data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u8 *message = (void *)(udp + 1);
	__u8 hardware[ETH_ALEN];
	__u32 address;
	__u16 port;

	if ((void *)(message + DNS_HEADER_BYTES) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(DNS_PORT) || (message[2] & QR))
		return XDP_PASS;
	__builtin_memcpy(hardware, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, hardware, ETH_ALEN);
	address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	port = udp->source;
	udp->source = udp->dest;
	udp->dest = port;
	/* Optional over IPv4 (RFC 768). */
	udp->check = 0;
	message[2] |= QR;
	return XDP_TX;
}

SEC("xdp")
int pass(struct xdp_md *context __attribute__((unused)))
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

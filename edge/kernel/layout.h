/* What the program and the daemon share, word for word. build.rs makes constants of the daemon from the `#define`s of this
 * file (edge/src/kernel/layout.rs): plain numbers only. Everything lies in mmapped arrays, in the order of bytes of the
 * machine: the daemon reads and writes them without a system call. */
#pragma once

/* Array `policy`: one element of POLICY_WORDS. The daemon writes, the program reads. */
#define POLICY_WORDS 256
/* 1: it answers; 0: everything is passed up. */
#define POLICY_ON 0
/* Filter time (µs) of the daemon's last beat. Silent for longer than POLICY_SILENT_US, everything is passed up. */
#define POLICY_BEAT_US 1
#define POLICY_SILENT_US 2
/* To be added to bpf_ktime_get_ns() / 1000: filter time, and Unix time, in µs. */
#define POLICY_FILTER_CLOCK_US 3
#define POLICY_UNIX_CLOCK_US 4
/* Settings::udp_payload_bytes_max, at least 512. */
#define POLICY_UDP_PAYLOAD_BYTES_MAX 5
/* Cookies: how many secrets there are (0: the option is ignored, and so passed up), whether they are required, and the
 * secrets, the one that makes new cookies first, two words each as they lie in memory. */
#define POLICY_COOKIE_SECRETS 6
#define POLICY_COOKIES_REQUIRED 7
#define POLICY_COOKIE_SECRET_0 8
#define COOKIE_SECRETS_MAX 4
/* The number of sets of `tags`, minus one; a power of two minus one. */
#define POLICY_SET_MASK 16
/* From here on what `filters` says (filters::layout): modes, costs, secrets of hashes, what is armed. */
#define POLICY_FILTERS 64
/* Secrets of hashes (hash.h), four words each: that of names and prefixes, that of sources. */
#define POLICY_NAME_SECRET 64
#define POLICY_SOURCE_SECRET 68

/* Array `generations`: element 0 is that of the table of zones, element 1 + n that of the zone with number n. Even: nothing
 * is being published. Bumped before and after each publication. Zones with higher numbers are never promoted. */
#define GENERATIONS 65537

/* Hash `services`: addresses and ports that are answered at. Key: 16 octets of address (IPv4 mapped), port in network byte
 * order, two octets 0; value: one octet. */
#define SERVICES_MAX 256

/* Array `tags`: one element of 64 bytes a set: the keys of its ways, 0 for none. A key is the hash of the name (that of
 * filters, which hashes it in lower case) plus KEY_FACTOR times (the type * 2 + 1 with DO), and 1 if that is 0. It stands in
 * the set (key >> KEY_SET_SHIFT) & POLICY_SET_MASK. */
#define WAYS 8
#define KEY_FACTOR 11400714819323198485
#define KEY_SET_SHIFT 16
/* Array `slots`: element set * WAYS + way. Its key, its zone and all else of it hold if SLOT_SEQ is even, and the same
 * before and after they were read. */
#define SLOT_BYTES 768
#define SLOT_SEQ 0            /* u64: odd while it is written */
#define SLOT_KEY 8            /* u64: as in the tag */
#define SLOT_ZONE 16          /* u32: number of its zone */
#define SLOT_GENERATION 20    /* u32: of the zone, its low half */
#define SLOT_EPOCH 24         /* u32: of the table of zones, its low half */
#define SLOT_TTL_S 28         /* u32: filters' Found::ttl_s; of an answer of an origin as of stored_us */
#define SLOT_VALID_US 32      /* u64: filter time until which it may be given; 0: as long as its generation */
#define SLOT_STORED_US 40     /* u64: filter time at which its TTLs began to count down; 0: they do not */
#define SLOT_USED_US 48       /* u64: filter time of its last use, written by the program once it is a second old */
#define SLOT_HITS 56          /* u64: uses; added to atomically by the program */
#define SLOT_SUBJECT 64       /* u64: the subject of filters' response rate */
#define SLOT_FLAGS 72         /* u16: QR, AA, TC, RCODE of the header, in host order; the program adds RD and CD */
#define SLOT_QTYPE 74         /* u16; 0: of no question, but what all names get that do not exist (see names.h) */
#define SLOT_ANCOUNT 76       /* u16 */
#define SLOT_NSCOUNT 78       /* u16 */
#define SLOT_ARCOUNT 80       /* u16: without OPT */
#define SLOT_BODY_BYTES 82    /* u16: all behind the question but OPT */
#define SLOT_BODY_SUM 84      /* u16: its ones' complement sum (RFC 1071), as if it began at an even offset, host order */
#define SLOT_NAME_BYTES 86    /* u8 */
#define SLOT_KIND 87          /* u8: filters::Kind */
#define SLOT_DNSSEC_OK 88     /* u8: whether it is for clients with DO */
#define SLOT_IS_HIT 89        /* u8: an answer of an origin: Found::is_hit, and counted as one */
#define SLOT_FIXUPS 90        /* u8: how many offsets stand at the end of the body's room, the last first, u16 each */
#define SLOT_FIXUP_KIND 91    /* u8: FIXUP_TTL or FIXUP_POINTER */
#define SLOT_QUESTION_NAME_BYTES 92 /* u8: FIXUP_POINTER: the length of the name that the pointers are for */
#define SLOT_NAME 96          /* the name in lower case, zeros behind */
#define NAME_BYTES_MAX 128
#define SLOT_BODY 224
#define BODY_BYTES_MAX 544
/* Offsets of TTLs in the body: SLOT_STORED_US says since when they count down. */
#define FIXUP_TTL 1
/* Offsets of compression pointers in the body: they move with the length of the name asked for. */
#define FIXUP_POINTER 2
#define FIXUPS_MAX 32

/* Arrays `exists` and `covers`: Bloom filters of names, by the filters' hash of names; see names.h. In words. */
#define EXISTS_WORDS 1048576
#define COVERS_WORDS 65536

/* Array `counters`: one element of COUNTER_WORDS a processor; only the program writes. */
#define CPUS_MAX 256
#define COUNTER_WORDS 128
#define COUNTER_SEEN 0        /* packets to a service address */
#define COUNTER_TORN 1        /* given up since the slot was written just then: dropped */
#define COUNTER_QUERIES 2     /* IPv4, IPv6: what was answered or dropped here; what is passed up is counted above */
#define COUNTER_TRUNCATED 4
#define COUNTER_SLIPPED 5
#define COUNTER_ANSWER_BYTES 6
#define COUNTER_RCODES 8      /* as edge::stats has them: 11 */
#define COUNTER_DROPPED 24    /* by DropReason: at most 40 */
#define COUNTER_ON_DEMAND 64  /* by OnDemandEvent: at most 8 */
#define COUNTER_PASSED 80     /* by reason: PASS_... */

/* Why a packet to a service address is passed up. */
#define PASS_OFF 0            /* the lane is off, or the daemon is silent */
#define PASS_UNUSUAL 1        /* no plain question of class IN with at most an OPT record of version 0 */
#define PASS_OPTION 2         /* an EDNS option other than a cookie that can be read here */
#define PASS_NAME 3           /* the name is too long for the key */
#define PASS_ABSENT 4         /* no answer at hand */
#define PASS_OLD 5            /* there is one, of an older snapshot, or its time is over */
#define PASS_SIZE 6           /* it is larger than the client takes */
#define PASS_BUSY 7           /* it is being written */
#define PASS_FILTER 8         /* the filters' word on it can only be said above */
#define PASS_PACKET 9         /* fragments, IP options, extension headers, wrong lengths */
#define PASSES 10

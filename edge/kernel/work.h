/* What is known of the packet that is being looked at: one for each processor. Each header fills its part. */
#pragma once
#include "maps.h"

/* The longest query that is looked at: header, a name of NAME_BYTES_MAX, and an OPT record with the longest cookie there
 * is have 199 octets. Longer ones are passed up. */
#define MESSAGE_BYTES_MAX 256
#define HEADER_BYTES 12
/* Type and class, behind the name. */
#define QUESTION_END_BYTES 4
#define LABELS_MAX 64
/* An OPT record with a cookie, in whole words. */
#define OPT_WORDS 5
/* Hardware addresses, two VLAN tags, the type of what follows. */
#define LINK_BYTES_MAX 22

enum proof { PROOF_NONE, PROOF_COOKIE };
/* As filters::Kind. */
enum kind { KIND_ANSWER, KIND_NO_DATA, KIND_NO_NAME, KIND_REFERRAL, KIND_ERROR };
/* What the filters say. VERDICT_ABOVE: of what is not at hand, only the lanes above can say it; nothing has changed. */
enum verdict { VERDICT_SERVE, VERDICT_SLIP, VERDICT_DROP, VERDICT_ABOVE };

/* What is known of a name that there is no answer for. ABSENT_NO_NAME: it surely does not exist, but what it gets can only be
 * had above. ABSENT_MISS: it may, but nothing of it is at hand: its origin would have to be asked. */
enum absent { ABSENT_UNKNOWN, ABSENT_NO_NAME, ABSENT_MISS };

/* What one filter finds (filters' Finding): a penalty of 1 to 99, or one of these. */
#define FINDING_FINE 0
#define FINDING_DROP 100
#define FINDING_SLIP 101

/* What was found for a question: filters::Found. */
struct found {
	u64 subject;    /* of the response rate */
	u32 zone;       /* its number */
	u32 ttl_s;
	u8 kind;
	u8 is_hit;
	u8 apex_bytes;  /* the length of the zone's name, which the name asked for ends with */
};

/* The filters' word on a query on its way down the chain. */
struct score {
	u8 verdict;             /* enum verdict */
	u8 filter;              /* that slips or drops it: filters::Filter */
	u8 penalty;
	u8 worst;               /* the filter that gave the greatest penalty of this half, and how great that is */
	u8 worst_penalty;
};

struct work {
	/* main: filter time, as of the last tick of the system, and the processor's number. */
	u64 now_us;
	u32 cpu;

	/* packet.h: offsets in the frame, lengths of the packet, addresses as in struct service, ports in network order. */
	u32 frame_bytes;
	u32 ip_at;
	u32 dns_at;
	u32 dns_bytes;
	u16 source_port;
	u16 target_port;
	u8 source[16];
	u8 target[16];
	/* Of both addresses and ports, in the order of bytes of the machine, not folded. */
	u64 address_sum;
	u8 is_ipv6;

	/* The service that was asked last, and POLICY_SERVICES when it was looked up; 0: none. */
	u64 service[2];
	u16 service_port;
	u64 service_known;

	/* question.h: the question's name in lower case, with its length octets and the root; zeros to the end of its last word.
	 * The message as it came stands behind that, so that whatever is read from an octet of the name on stays in here; its
	 * question begins with a whole word. */
	u64 name[NAME_BYTES_MAX / 8];
	u32 padding;
	u8 message[MESSAGE_BYTES_MAX];
	u32 name_bytes;
	/* Where its labels begin, the root left out; how many there are. */
	u8 label_at[LABELS_MAX];
	u32 labels;
	/* By the filters' hasher of names (hash.h). */
	u64 name_hash;
	/* Of the question as it came, as address_sum. */
	u64 question_sum;
	u16 qtype;
	/* Of the header, in host order. */
	u16 flags;
	/* The largest answer that the client takes, OPT included: at least 512, at most ours. */
	u16 limit;
	u8 has_edns;
	u8 dnssec_ok;

	/* cookie.h: a client that sends one is given the other. */
	u16 cookie_at;
	u16 cookie_bytes;
	u8 has_cookie;
	u8 proof;
	u64 cookie[3];

	/* answers.h, names.h: what was found, with a copy of what stands behind the question; the OPT record follows it. */
	struct found found;
	u64 cover_hash; /* of the end of the name that names.h looks at */
	u8 absent;      /* enum absent */
	u32 slot;
	u16 answer_flags;
	u16 answer_counts[3];
	u32 body_bytes;
	u64 body_sum;
	u64 body[BODY_BYTES_MAX / 8 + OPT_WORDS + 1];

	/* reply.h: by how much the frame was made longer at its beginning, and what stood there. */
	u32 front_bytes;
	u8 link[LINK_BYTES_MAX];

	/* filters.h: the filter (filters::Filter) that slips or drops, and what led to that; whether the source is known to be
	 * good (Admission::known_good), which random_name() asks. */
	u8 filter;
	u8 known_good;
	struct score score;
	/* sources.h: the source, its place in its row (or PLACES) and what is to stand there in the end; whether it was never
	 * heard of; hashes of it, its prefix, and of it with what it asks for. responses.h: of its prefix with what it is given. */
	u8 is_first;
	u32 source_place;
	u64 source_key;
	u64 source_state;
	u64 source_hash;
	u64 prefix_hash;
	u64 repeat_hash;
	u64 response_hash;
};

/* Filter time to the microsecond, where the tick will not do: to read that clock takes a tenth of all that an answer does. */
static __always_inline u64 exact_us(void)
{
	u64 still_us = policy_word(POLICY_STILL_US);

	return still_us ? still_us : bpf_ktime_get_ns() / 1000 + policy_word(POLICY_FILTER_CLOCK_US);
}

/* What the compiler may not move reads and writes across. */
#define compiler_barrier() asm volatile("" ::: "memory")
/* What the compiler knows of a number it may not make use of from here on: the verifier knows less, and is to see a bound. */
#define verified(number) asm volatile("" : "+r"(number))

/* Has a line of memory on its way while other work goes on. An answer needs a handful of tables of many megabytes, and a wait
 * for one of them is as long as a quarter of all the rest. There is no instruction for it here; but a processor waits for
 * what it reads, and not for what it writes: so each line that is written later anyway has an octet that is nobody's. */
#define fetch(line, spare) (*((volatile u8 *)(line) + (spare)) = 0)
/* The same where there is no such octet: a load, which waits a little. */
#define touch(line)                                                                              \
	do {                                                                                     \
		u64 nothing;                                                                     \
		asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(nothing) : "r"(line));               \
	} while (0)

/* What reads before it and after it are not exchanged across. x86 exchanges none; elsewhere an addition with a result is a
 * full barrier. */
#ifdef ARCHITECTURE_x86_64
#define read_barrier() compiler_barrier()
#else
#define read_barrier()                                  \
	do {                                            \
		u64 number = 0;                         \
		if (__sync_fetch_and_add(&number, 1))   \
			compiler_barrier();             \
	} while (0)
#endif

/* What is known of the packet that is being looked at: one for each processor. Each header fills its part. */
#pragma once
#include "maps.h"

/* The first so many octets of a DNS message are read; a longer query is passed up. */
#define MESSAGE_BYTES_MAX 512
#define LABELS_MAX 64

enum proof { PROOF_NONE, PROOF_COOKIE };
/* As filters::Kind. */
enum kind { KIND_ANSWER, KIND_NO_DATA, KIND_NO_NAME, KIND_REFERRAL, KIND_ERROR };
/* What the filters say. VERDICT_ABOVE: only the lanes above can say it; nothing is counted, nothing has changed. */
enum verdict { VERDICT_SERVE, VERDICT_SLIP, VERDICT_DROP, VERDICT_ABOVE };

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

struct work {
	/* main: filter time, and the processor's number. */
	u64 now_us;
	u32 cpu;

	/* packet.h: offsets in the frame, lengths of the packet, addresses as in struct service, ports in network order. */
	u32 frame_bytes;
	u32 ip_at;
	u32 dns_at;
	u32 dns_bytes;
	u16 source_port;
	u16 target_port;
	u8 is_ipv6;
	u8 source[16];
	u8 target[16];

	/* question.h: the question's name in lower case, with its length octets and the root; zeros behind. The message as it
	 * came stands behind it, so that whatever is read from an octet of the name on stays in here. */
	u64 name[NAME_BYTES_MAX / 8];
	u8 message[MESSAGE_BYTES_MAX];
	u32 name_bytes;
	/* Where its labels begin, the root left out; how many there are. */
	u8 label_at[LABELS_MAX];
	u32 labels;
	/* By the filters' hasher of names (hash.h). */
	u64 name_hash;
	u16 qtype;
	/* Of the header, in host order. */
	u16 flags;
	/* The largest answer that the client takes, OPT included: at least 512, at most ours. */
	u16 limit;
	u8 has_edns;
	u8 dnssec_ok;

	/* cookie.h */
	u8 has_cookie;
	u8 proof;
	u8 cookie[24];

	/* answers.h, names.h */
	struct found found;

	/* filters.h: the filter (filters::Filter) that slips or drops; hashes of its source and of that one's prefix; whether
	 * the source is known to be good (Admission::known_good), which random_name() asks. */
	u8 filter;
	u8 known_good;
	u64 source_hash;
	u64 prefix_hash;
};

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
/* Filter time (µs) that stands still, for tests; 0: it is the clock's. */
#define POLICY_STILL_US 17
/* What the maps were made for: a daemon that takes them over looks whether that is itself. */
#define POLICY_VERSION 18
/* 1: a frame is made longer at its beginning even where it could be at its end, for tests. */
#define POLICY_ROOM_IN_FRONT 19
/* 1: each use of a slot is counted; else only those of answers of origins, which SLOT_IS_HIT says of. */
#define POLICY_COUNT_USES 20
/* Bumped after each change of `services`. */
#define POLICY_SERVICES 21
/* Hardware addresses of the interfaces that it is attached to, six octets as they lie in memory, 0 behind the last. Frames to
 * others are passed up. With none, all are taken. */
#define POLICY_MACS 24
#define MACS_MAX 8
/* From here on what the filters say (filters::Filters::policy_words), in this order; POLICY_FILTER_WORDS of them. */
#define POLICY_FILTERS 64
#define POLICY_FILTER_WORDS 41
/* Secrets of hashes (hash.h), four words each: that of names and prefixes, that of sources. */
#define POLICY_NAME_SECRET 64
#define POLICY_SOURCE_SECRET 68
/* 1: all filters are off, and nothing is looked at. */
#define POLICY_ALL_OFF 72
/* Whether `listed` has entries for IPv4 (bit 0), for IPv6 (bit 1). */
#define POLICY_LISTED 73
/* The mode of each filter, by its number: MODE_... */
#define POLICY_MODE_0 74
/* Of the prefixes that share a budget: of the address as a number, of its upper half. */
#define POLICY_IPV4_MASK 90
#define POLICY_IPV6_MASK 91
/* What one query costs, in units of 4 us: sources::gcra::Cost. */
#define POLICY_CLIENT_COST 92
#define POLICY_CLIENT_KNOWN_GOOD_COST 93
#define POLICY_PREFIX_COST 94
#define POLICY_REPEATS_COST 95
/* Periods of behaviour: their length in us as a power of two, and how many good ones make a source known good. */
#define POLICY_PERIOD_US_BITS 96
#define POLICY_PERIODS 97
/* What one answer costs of the budget of answers of its kind, and of its prefix's: 4 us again. */
#define POLICY_RESPONSE_COST 98
#define POLICY_RESPONSE_PREFIX_COST 99
/* Every so many of the answers above a budget is sent truncated; 0: none. */
#define POLICY_SLIP 100
/* Distinct names a second that are borne below a suffix as long as nothing is known of the zone. */
#define POLICY_RANDOM_NAMES_PER_S 101
/* The seed that all secrets are made from, two words: who takes the tables over needs it. */
#define POLICY_SEED_0 102
/* What is kept away since its like killed: how much there is of it. */
#define POLICY_QUARANTINED 104

/* Which addresses may have entries in `listed`: a bit for all whose first bits (16 of IPv4, 32 of IPv6) have the same hash. */
#define POLICY_LISTED_BITS 128
#define LISTED_BITS_WORDS 64
#define LISTED_HASH_FACTOR 2654435769
#define LISTED_HASH_SHIFT 20

#define MODE_OFF 0
#define MODE_OBSERVE 1
#define MODE_ON 2
/* The filters by their numbers: config::Filter. */
#define FILTERS 11
#define FILTER_BLOCKED 0
#define FILTER_QUERY_OF_DEATH 1
#define FILTER_MALFORMED 2
#define FILTER_CLIENT 3
#define FILTER_PREFIX 4
#define FILTER_REPETITION 5
#define FILTER_UNKNOWN_SOURCE 6
#define FILTER_MISS 7
#define FILTER_RANDOM_NAME 8
#define FILTER_RESPONSE_RATE 9
#define FILTER_STREAM 10
/* What a filter did: filters::Effect. */
#define EFFECTS 6
#define EFFECT_PENALISED 0
#define EFFECT_SLIPPED 1
#define EFFECT_DROPPED 2
#define EFFECT_WOULD_PENALISE 3
#define EFFECT_WOULD_SLIP 4
#define EFFECT_WOULD_DROP 5

/* Array `generations`: element 0 is that of the table of zones, element 1 + n that of the zone with number n. Even: nothing
 * is being published. Bumped before and after each publication. Zones with higher numbers are never promoted. */
#define GENERATIONS 65537

/* Hash `services`: addresses and ports that are answered at. Key: 16 octets of address (IPv4 mapped), port in network byte
 * order, two octets 0; value: one octet. */
#define SERVICES_MAX 256

/* Array `tags`: one element a set: u16 for each of its ways, the upper bits of its key, 1 if they are 0; 0 for none. A key is the
 * hash of the name (that of filters, which hashes it in lower case) plus KEY_FACTOR times (the type * 2 + 1 with DO). It stands
 * in the set (key >> KEY_SET_SHIFT) & POLICY_SET_MASK. Of keys with the same tag the program looks at the first three. */
#define WAYS 8
#define KEY_FACTOR 11400714819323198485
#define KEY_SET_SHIFT 16
#define KEY_TAG_SHIFT 48
#define KEY_WAY_SHIFT 40
/* Array `slots`: element set * WAYS + way: a key is in the way (key >> KEY_WAY_SHIFT) % WAYS, where the program looks first, if
 * that was free. Its key, its zone and all else of it hold if SLOT_SEQ is even, and the same before and after they were read.
 * Two lines of memory, all that most answers need. */
#define SLOT_BYTES 128
#define SLOT_SEQ 0            /* u64: odd while it is written */
#define SLOT_KEY 8            /* u64 */
#define SLOT_ZONE 16          /* u32: number of its zone */
#define SLOT_GENERATION 20    /* u32: of the zone, its low half */
#define SLOT_EPOCH 24         /* u32: of the table of zones, its low half */
#define SLOT_TTL_S 28         /* u32: filters' Found::ttl_s; of an answer of an origin as of TEXT_STORED_US */
#define SLOT_SUBJECT 32       /* u64: the subject of filters' response rate */
#define SLOT_FLAGS 40         /* u16: QR, AA, TC, RCODE of the header, in host order; the program adds RD and CD */
#define SLOT_QTYPE 42         /* u16; 0: of no question, but what all names get that do not exist (see names.h);
                               * without a body, each of them gets a proof of its own; and if that is an answer of an
                               * origin, the origin would have to be asked for each */
#define SLOT_ANCOUNT 44       /* u16 */
#define SLOT_NSCOUNT 46       /* u16 */
#define SLOT_ARCOUNT 48       /* u16: without OPT */
#define SLOT_BODY_BYTES 50    /* u16: all behind the question but OPT */
#define SLOT_BODY_SUM 52      /* u16: its ones' complement sum (RFC 1071) of numbers in network order, as if it began at an
			       * even offset; itself in host order */
#define SLOT_NAME_BYTES 54    /* u8 */
#define SLOT_KIND 55          /* u8: filters::Kind */
#define SLOT_DNSSEC_OK 56     /* u8: whether it is for clients with DO */
#define SLOT_IS_HIT 57        /* u8: an answer of an origin: Found::is_hit, and counted as one */
#define SLOT_FIXUPS 58        /* u8: how many offsets stand before TEXT_FIXUPS_END, the last first, u16 each */
#define SLOT_FIXUP_KIND 59    /* u8: FIXUP_TTL or FIXUP_POINTER */
#define SLOT_QUESTION_NAME_BYTES 60 /* u8: FIXUP_POINTER: the length of the name that the pointers are for */
#define SLOT_APEX_BYTES 61    /* u8: the length of the name of its zone, which the name ends with */
#define SLOT_IS_LONG 62       /* u8: name and body stand in `texts` */
#define SLOT_USED 64          /* u32: filter time of its last use in units of 2^USED_US_BITS us, written by the program */
#define SLOT_HITS 68          /* u32: uses, as far as POLICY_COUNT_USES has them counted; added to atomically by the program */
#define SLOT_TEXT 72          /* the name in lower case, zeros behind to the end of its last word; then the body */
#define SHORT_WORDS 7         /* and so much of both together, without fixups; what is more is long */
#define USED_US_BITS 20
/* Array `texts`: of the slot with the same number, if that is long. */
#define TEXT_BYTES 688
#define NAME_BYTES_MAX 128
#define BODY_BYTES_MAX 544
#define TEXT_FIXUPS_END 672
/* FIXUP_TTL: filter time until which it may be given, and at which its TTLs began to count down; u64 both. */
#define TEXT_VALID_US 672
#define TEXT_STORED_US 680
/* Offsets of TTLs in the body. */
#define FIXUP_TTL 1
/* Offsets of compression pointers in the body: they move with the length of the name asked for. */
#define FIXUP_POINTER 2
#define FIXUPS_MAX 32

/* Names with more labels are passed up if they do not exist. With those labels, and as many in the SOA record, the writer of
 * answers remembers all names that it can compress against. */
#define NO_NAME_LABELS_MAX 32

/* Arrays `exists` and `covers`: Bloom filters of names, by the filters' hash of names; see names.h. In words. */
#define EXISTS_WORDS 1048576
#define COVERS_WORDS 65536

/* Array `counters`: one element of COUNTER_WORDS a processor; only the program writes. */
#define CPUS_MAX 256
#define COUNTER_WORDS 128
#define COUNTER_SEEN 0        /* packets to a service address */
#define COUNTER_TORN 1        /* given up with the answer half written: dropped. Nothing is known that leads to it */
#define COUNTER_QUERIES 2     /* IPv4, IPv6: what was answered or dropped here; what is passed up is counted above */
#define COUNTER_TRUNCATED 4
#define COUNTER_SLIPPED 5
#define COUNTER_ANSWER_BYTES 6
#define COUNTER_RCODES 8      /* as edge::stats has them: 11 */
#define COUNTER_DROPPED 24    /* by DropReason: at most 40 */
#define COUNTER_FILTERED 42   /* among those, by filters::Filter: DropReason::Blocked and what follows */
#define COUNTER_ON_DEMAND 64  /* by OnDemandEvent: at most 8 */
#define COUNTER_PASSED 80     /* by reason: PASS_... */

/* Why a packet to a service address is passed up. */
#define PASS_OFF 0            /* the lane is off, or the daemon is silent */
#define PASS_UNUSUAL 1        /* no plain question of class IN with at most an OPT record of version 0 */
#define PASS_OPTION 2         /* an EDNS option other than a cookie that can be read here */
#define PASS_NAME 3           /* the name is too long for the key */
#define PASS_ABSENT 4         /* no answer at hand */
#define PASS_OLD 5            /* there is one, of an older snapshot, or its time is over */
#define PASS_SIZE 6           /* it is larger than the client takes, or than its frame can be made */
#define PASS_BUSY 7           /* it is being written */
#define PASS_PACKET 8         /* a fragment, wrong lengths or sum, or a source that nobody can be answered at */
#define PASSES 9

/* The filters' tables, in maps of their own (filter_maps.h): the same memory for all lanes and for the program. Their sizes are
 * those of filters::layout. Each number of buckets, sets, words and cells is a power of two.
 *
 * Array `sources`: a bucket is a line; that of a source is its hash >> SOURCE_SHIFT, modulo their number. */
#define SOURCE_BUCKETS 262144
#define SOURCE_SHIFT 40
/* Array `repeats`: places, two in each element. */
#define REPEAT_PLACES 524288
/* Arrays `prefix_budgets` and `repeat_budgets`: two rows of so many u32 each. */
#define SKETCH_ROW 32768
/* Arrays `answer_rates` and `prefix_rates`: buckets of a line. */
#define ANSWER_RATE_BUCKETS 16384
#define PREFIX_RATE_BUCKETS 8192
/* Arrays `existing`, `recent` and `familiar`: two generations of so many words each; `..._turn`: which is young.
 * The daemon turns `recent` when so many names were added. */
#define EXISTING_WORDS 65536
#define RECENT_WORDS 131072
#define RECENT_NAMES 524288
#define FAMILIAR_WORDS 16384
/* Array `suffixes`: a set of so many suffixes in each element. Array `attacked`: those of them that are. */
#define SUFFIX_SETS 2048
#define SUFFIX_WAYS 4
#define ATTACKED_MAX 1024
#define ATTACKED_NAME_WORDS 32
/* Array `cells`: a zone has the cell of its number, modulo this. Array `lane_zones`: so many counts a processor. */
#define CELLS 4096
/* Array `lane_counts`: so many words a processor. Each effect of each filter at LANE_EFFECTS + filter * EFFECTS + effect. */
#define LANE_COUNT_WORDS 80
#define LANE_QUERIES 0
#define LANE_CLEAN 1
#define LANE_FIRST_SEEN 2
#define LANE_EFFECTS 3
/* Trie `listed`: the lists of sources; the value has all bits of all prefixes that cover the key's. */
#define LISTED_MAX 4096
#define LISTED_ALLOW 1
#define LISTED_BLOCK 2
#define LISTED_KNOWN_GOOD 4

/* Ring buffer `samples`: records of SAMPLE_BYTES, in the order of bytes of the machine. */
#define SAMPLES_BYTES 1048576
#define SAMPLE_BYTES 168
#define SAMPLE_AT_US 0        /* u64: filter time */
#define SAMPLE_SOURCE 8       /* 16 octets, IPv4 mapped */
#define SAMPLE_ZONE 24        /* u32: its number; SAMPLE_NO_ZONE: none */
#define SAMPLE_WEIGHT 28      /* u32 */
#define SAMPLE_QTYPE 32       /* u16 */
#define SAMPLE_VERDICT 34     /* u8: SAMPLE_SERVED, ... */
#define SAMPLE_FILTER 35      /* u8: that slipped or dropped it, or gave the greatest penalty; SAMPLE_NO_FILTER: none */
#define SAMPLE_PENALTY 36     /* u8 */
#define SAMPLE_NAME_BYTES 37  /* u8 */
#define SAMPLE_NAME 40        /* NAME_BYTES_MAX octets: the name in lower case */
#define SAMPLE_NO_ZONE 4294967295
#define SAMPLE_NO_FILTER 255
#define SAMPLE_SERVED 0
#define SAMPLE_SLIPPED 1
#define SAMPLE_DROPPED 2

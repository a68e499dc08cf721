/* Samples of queries and of what became of them: filters/src/sample.rs. All while they are few, one of many in a flood. */
#pragma once
#include "work.h"

#define SAMPLES_PER_S 2000
#define SAMPLE_WINDOW_US 100000
#define SAMPLE_WINDOW_SAMPLES 200

/* Chooses which queries of a processor are sampled. */
struct sampler {
	/* Queries until the next one that is. */
	u32 left;
	/* One query of so many is sampled; 0 is 1. */
	u32 every;
	u64 window_began_us;
	u64 window_weight;
	u64 window_samples;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct sampler);
} samplers SEC(".maps");

/* What is told of a query besides what is known of it. */
struct sampled {
	u32 zone;
	u8 verdict;
	u8 filter;
	u8 penalty;
};

static __noinline void sampler_follow(struct sampler *sampler, u64 now_us, u32 every)
{
	u64 samples = sampler->window_samples + 1, weight = sampler->window_weight + every;
	u64 passed_us = now_us > sampler->window_began_us ? now_us - sampler->window_began_us : 0;

	if (passed_us >= SAMPLE_WINDOW_US) {
		u64 of = weight * 1000000 / passed_us / SAMPLES_PER_S;

		sampler->every = of > 0xffffffff ? 0xffffffff : of ? of : 1;
		sampler->window_began_us = now_us;
		sampler->window_samples = 0;
		sampler->window_weight = 0;
		return;
	}
	/* A flood has begun within the window: it does not wait for its end. */
	if (samples >= SAMPLE_WINDOW_SAMPLES) {
		sampler->every = every > 0x7fffffff ? 0xffffffff : 2 * every;
		sampler->window_samples = 0;
	} else {
		sampler->every = every;
		sampler->window_samples = samples;
	}
	sampler->window_weight = weight;
}

/* Who takes them is late if there is no room: what is lost here is no more than a sample. */
static __noinline void sample_take(struct sampler *sampler, const struct work *work, const struct sampled *sampled)
{
	u32 every = sampler->every ? sampler->every : 1;
	struct sample *sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);

	if (sample) {
		sample->at_us = work->now_us;
		__builtin_memcpy(sample->source, work->source, sizeof(sample->source));
		sample->zone = sampled->zone;
		sample->weight = every;
		sample->qtype = work->qtype;
		sample->verdict = sampled->verdict;
		sample->filter = sampled->filter;
		sample->penalty = sampled->penalty;
		sample->name_bytes = work->name_bytes;
		sample->zero = 0;
		__builtin_memcpy(sample->name, work->name, sizeof(sample->name));
		/* They are fetched every so often: nobody is woken. */
		bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);
	}
	sampler_follow(sampler, work->now_us, every);
	sampler->left = sampler->every;
}

/* Samples this query if it is its turn. */
static __always_inline void sample_offer(const struct work *work, const struct sampled *sampled)
{
	u32 zero = 0;
	struct sampler *sampler = bpf_map_lookup_elem(&samplers, &zero);

	if (!sampler)
		return;
	if (sampler->left > 1)
		sampler->left--;
	else
		sample_take(sampler, work, sampled);
}

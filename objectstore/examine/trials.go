package examine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/lakectl/lakectl/objectstore"
)

func text(s string) objectstore.Body { return objectstore.Bytes([]byte(s)) }

// read returns the bytes of an object, or of a part of it.
func read(ctx context.Context, s objectstore.Store, key string, r objectstore.Range) ([]byte, objectstore.Info, error) {
	body, info, err := s.Get(ctx, key, r)
	if err != nil {
		return nil, info, err
	}
	b, err := io.ReadAll(body)
	return b, info, errors.Join(err, body.Close())
}

// createTwice: a create where an object is must be refused, and leave the object alone.
func (e *examination) createTwice(ctx context.Context) (string, error) {
	key := e.prefix + "create"
	if _, err := e.a.Put(ctx, key, text("first"), objectstore.CreateOnly); err != nil && !errors.Is(err, objectstore.ErrExists) {
		if errors.Is(err, objectstore.ErrUnsupported) {
			return "", oneWriter("the store has no create that fails where an object is: %v", err)
		}
		return "", err
	}
	_, err := e.b.Put(ctx, key, text("second"), objectstore.CreateOnly)
	if err == nil {
		return "", oneWriter("a second create of one object succeeded: the store ignores If-None-Match")
	}
	if !errors.Is(err, objectstore.ErrExists) {
		return "", err
	}
	b, _, err := read(ctx, e.a, key, objectstore.Range{})
	if err != nil {
		return "", err
	}
	if string(b) != "first" {
		return "", oneWriter("the refused create replaced the object all the same")
	}
	return "the second create was refused", nil
}

// outcome is how one contender of a race fared.
type outcome struct {
	body string
	info objectstore.Info
	err  error
}

// race lets all contenders put at once, every other one through the other client.
func (e *examination) race(ctx context.Context, key string, c objectstore.Condition) []outcome {
	out := make([]outcome, e.o.Contenders)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range out {
		client := e.a
		if i%2 == 1 {
			client = e.b
		}
		out[i].body = fmt.Sprintf("contender %d of %s", i, key)
		wg.Go(func() {
			<-start
			out[i].info, out[i].err = client.Put(ctx, key, text(out[i].body), c)
		})
	}
	close(start)
	wg.Wait()
	return out
}

// judge demands one winner at most, and that its body is what is left. refused is the error of a contender who lost;
// other errors leave doubt, and whoever has one may be the winner instead.
func (e *examination) judge(ctx context.Context, key string, race []outcome, refused ...error) error {
	b, _, err := read(ctx, e.b, key, objectstore.Range{})
	if err != nil {
		return err
	}
	winners, doubtful := 0, 0
	holder := -1
	for i, o := range race {
		lost := slices.ContainsFunc(refused, func(r error) bool { return errors.Is(o.err, r) })
		switch {
		case o.err == nil:
			winners++
		case !lost:
			doubtful++
		}
		if string(b) == o.body {
			holder = i
			if lost {
				return oneWriter("%s: a contender that was refused has replaced the object", key)
			}
		}
	}
	switch {
	case winners > 1:
		return oneWriter("%d of %d contenders were told that they had won", winners, len(race))
	case winners == 1 && (holder < 0 || race[holder].err != nil):
		return oneWriter("the object is not that of the contender who was told that it had won")
	case winners == 0 && doubtful == 0:
		return oneWriter("all of %d contenders were refused", len(race))
	case winners == 0 && holder < 0:
		return fmt.Errorf("no contender got through: %w", firstError(race))
	}
	return nil
}

func firstError(race []outcome) error {
	for _, o := range race {
		if o.err != nil {
			return o.err
		}
	}
	return nil
}

// createRace: among many who create one object, one wins.
func (e *examination) createRace(ctx context.Context) (string, error) {
	for round := range e.o.Rounds {
		key := fmt.Sprintf("%srace/%04d", e.prefix, round)
		if err := e.judge(ctx, key, e.race(ctx, key, objectstore.CreateOnly), objectstore.ErrExists); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("one winner in each of %d races of %d", e.o.Rounds, e.o.Contenders), nil
}

// swap: an object is replaced by who names its ETag, and by nobody else.
func (e *examination) swap(ctx context.Context) (string, error) {
	key := e.prefix + "swap"
	first, err := e.a.Put(ctx, key, text("first"), objectstore.Condition{})
	if err != nil {
		return "", err
	}
	second, err := e.b.Put(ctx, key, text("second"), objectstore.Condition{IfMatch: first.ETag})
	if errors.Is(err, objectstore.ErrUnsupported) {
		return "", oneWriter("the store has no replace by ETag: %v", err)
	}
	if err != nil {
		return "", err
	}
	if second.ETag == first.ETag {
		return "", oneWriter("two bodies have one ETag")
	}
	if _, err = e.a.Put(ctx, key, text("stale"), objectstore.Condition{IfMatch: first.ETag}); err == nil {
		return "", oneWriter("a replace by an old ETag succeeded: the store ignores If-Match")
	} else if !errors.Is(err, objectstore.ErrPrecondition) {
		return "", err
	}
	if _, err = e.a.Put(ctx, key+"-absent", text("x"), objectstore.Condition{IfMatch: first.ETag}); err == nil {
		return "", oneWriter("a replace of an object that is not there created it")
	}
	b, _, err := read(ctx, e.a, key, objectstore.Range{})
	if err != nil {
		return "", err
	}
	if string(b) != "second" {
		return "", oneWriter("the refused replace took effect")
	}
	return "an old ETag was refused", nil
}

// swapRace: among many who replace one ETag, one wins.
func (e *examination) swapRace(ctx context.Context) (string, error) {
	key := e.prefix + "swap-race"
	info, err := e.a.Put(ctx, key, text("start"), objectstore.Condition{})
	if err != nil {
		return "", err
	}
	for range e.o.Rounds {
		race := e.race(ctx, key, objectstore.Condition{IfMatch: info.ETag})
		if err := e.judge(ctx, key, race, objectstore.ErrPrecondition); err != nil {
			return "", err
		}
		if info, err = e.a.Put(ctx, key, text("again"), objectstore.Condition{}); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("one winner in each of %d races of %d", e.o.Rounds, e.o.Contenders), nil
}

// readAfterWrite: what one client wrote, replaced or deleted, the other sees at once.
func (e *examination) readAfterWrite(ctx context.Context) (string, error) {
	for round := range e.o.Rounds {
		key := fmt.Sprintf("%sread/%04d", e.prefix, round)
		if _, err := e.b.Head(ctx, key); !errors.Is(err, objectstore.ErrNotFound) { // an answer that a cache might keep
			return "", notSafe("an object that nobody wrote is there: %v", err)
		}
		for _, body := range []string{"one", "another"} {
			if _, err := e.a.Put(ctx, key, text(body), objectstore.Condition{}); err != nil {
				return "", err
			}
			b, info, err := read(ctx, e.b, key, objectstore.Range{})
			if errors.Is(err, objectstore.ErrNotFound) {
				return "", notSafe("an object was not found after it was written")
			}
			if err != nil {
				return "", err
			}
			if string(b) != body || info.Size != int64(len(body)) {
				return "", notSafe("an object was read as it had been before it was replaced")
			}
		}
		if err := e.a.Delete(ctx, key); err != nil {
			return "", err
		}
		if _, _, err := read(ctx, e.b, key, objectstore.Range{}); !errors.Is(err, objectstore.ErrNotFound) {
			return "", notSafe("an object was found after it was deleted")
		}
	}
	return "written, replaced and deleted objects were seen at once", nil
}

// names lists the keys below a prefix, without it.
func names(ctx context.Context, s objectstore.Store, prefix, after string) ([]string, error) {
	var out []string
	for info, err := range s.List(ctx, prefix, after) {
		if err != nil {
			return nil, err
		}
		out = append(out, strings.TrimPrefix(info.Key, prefix))
	}
	return out, nil
}

// listAfterWrite: a listing shows what was written before it, and not what was deleted.
func (e *examination) listAfterWrite(ctx context.Context) (string, error) {
	prefix := e.prefix + "list/"
	var want []string
	for round := range e.o.Rounds {
		name := fmt.Sprintf("%04d", round)
		if _, err := e.a.Put(ctx, prefix+name, text(name), objectstore.Condition{}); err != nil {
			return "", err
		}
		want = append(want, name)
		got, err := names(ctx, e.b, prefix, "")
		if err != nil {
			return "", err
		}
		if !slices.Equal(got, want) {
			return "", notSafe("a listing shows %d objects, %d were written before it", len(got), len(want))
		}
	}
	if err := e.a.Delete(ctx, prefix+want[0]); err != nil {
		return "", err
	}
	got, err := names(ctx, e.b, prefix, "")
	if err != nil {
		return "", err
	}
	if !slices.Equal(got, want[1:]) {
		return "", notSafe("a listing shows an object that was deleted before it")
	}
	return "listings were up to date", nil
}

// byteOrder: listings go in the order of bytes, and go on after a key.
func (e *examination) byteOrder(ctx context.Context) (string, error) {
	prefix := e.prefix + "order/"
	want := []string{"00000000000000000009.json", "00000000000000000010.checkpoint.parquet", "00000000000000000010.json", "A", "Z", "_last", "a!", "a/b", "a0", "aa", "b=1/c", "z", "é", "日"}
	for _, name := range want {
		if _, err := e.a.Put(ctx, prefix+name, text(name), objectstore.Condition{}); err != nil {
			return "", err
		}
	}
	got, err := names(ctx, e.b, prefix, "")
	if err != nil {
		return "", err
	}
	if !slices.Equal(got, want) {
		return "", notSafe("a listing is not in the order of bytes: %v", got)
	}
	for i, name := range want {
		if got, err = names(ctx, e.b, prefix, prefix+name); err != nil {
			return "", err
		}
		if !slices.Equal(got, want[i+1:]) {
			return "", notSafe("a listing after %q shows %v", name, got)
		}
	}
	return fmt.Sprintf("%d names came in the order of their bytes", len(want)), nil
}

// ranges: parts of an object are the bytes that were asked for.
func (e *examination) ranges(ctx context.Context) (string, error) {
	key := e.prefix + "range"
	body := noise(100_000)
	info, err := e.a.Put(ctx, key, objectstore.Bytes(body), objectstore.Condition{})
	if err != nil {
		return "", err
	}
	n := int64(len(body))
	for _, r := range []objectstore.Range{
		{}, {Length: 1}, {Offset: 99, Length: 4096}, {Offset: n - 1}, {Offset: -8}, {Offset: n - 10, Length: 100}, {Offset: 50_000, IfMatch: info.ETag},
	} {
		from, to := r.Offset, n
		if from < 0 {
			from += n
		}
		if r.Length > 0 {
			to = min(n, from+r.Length)
		}
		got, _, err := read(ctx, e.b, key, r)
		if err != nil {
			return "", err
		}
		if !bytes.Equal(got, body[from:to]) {
			return "", notSafe("bytes %d to %d were asked for and others came", from, to)
		}
	}
	return "parts were what was asked for", nil
}

// createLarge: an object that is sent in parts is created once, too, and is whole.
func (e *examination) createLarge(ctx context.Context) (string, error) {
	if e.o.LargeBytes <= 0 {
		return "this store takes objects whole", errSkipped
	}
	key := e.prefix + "large"
	body := noise(int(e.o.LargeBytes))
	if _, err := e.a.Put(ctx, key, objectstore.Bytes(body), objectstore.CreateOnly); err != nil && !errors.Is(err, objectstore.ErrExists) {
		return "", err
	}
	other := slices.Clone(body)
	other[0]++
	_, err := e.b.Put(ctx, key, objectstore.Bytes(other), objectstore.CreateOnly)
	if err == nil {
		return "", oneWriter("a second create in parts succeeded: the store ignores the condition of a multipart upload")
	}
	if !errors.Is(err, objectstore.ErrExists) {
		return "", err
	}
	got, _, err := read(ctx, e.b, key, objectstore.Range{})
	if err != nil {
		return "", err
	}
	if !bytes.Equal(got, body) {
		return "", notSafe("an object of %d bytes that was sent in parts came back different", len(body))
	}
	return "the second create was refused", nil
}

// noise is bytes without a pattern that a range could hide in; the same each time.
func noise(n int) []byte {
	out := make([]byte, n)
	x := uint32(2463534242)
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x >> 24)
	}
	return out
}

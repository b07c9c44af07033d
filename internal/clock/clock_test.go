package clock

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"
)

func TestSystemSleepsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := System()
		start := c.Now()
		if err := c.Sleep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if d := Since(c, start); d != time.Hour {
			t.Fatalf("slept %v, want 1h", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want deadline exceeded", err)
		}
		if err := c.Sleep(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a zero sleep on a done ctx: %v", err)
		}
	})
}

func TestManualWakesThoseWhoseTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewManual(time.Date(2001, 2, 15, 0, 0, 0, 0, time.UTC))
		woke := make(chan int, 2)
		for i, d := range []time.Duration{time.Minute, time.Hour} {
			go func() {
				if err := m.Sleep(t.Context(), d); err == nil {
					woke <- i
				}
			}()
		}
		if err := m.Sleepers(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		m.Advance(59 * time.Second)
		synctest.Wait()
		if len(woke) != 0 {
			t.Fatal("woke early")
		}
		m.Advance(time.Second)
		if got := <-woke; got != 0 {
			t.Fatalf("sleeper %d woke first", got)
		}
		m.Advance(-time.Hour)
		synctest.Wait()
		if len(woke) != 0 {
			t.Fatal("a clock turned back woke a sleeper")
		}
		m.Advance(3 * time.Hour)
		if got := <-woke; got != 1 {
			t.Fatalf("sleeper %d woke second", got)
		}
	})
}

func TestManualSleepEndsWithItsContext(t *testing.T) {
	m := NewManual(time.Unix(0, 0))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if err := m.Sleepers(ctx, 1); err == nil {
			cancel()
		}
	}()
	if err := m.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := m.Sleepers(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
}

func TestSteppingMovesItself(t *testing.T) {
	m := NewStepping(time.Unix(0, 0))
	for range 3 {
		if err := m.Sleep(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Now(); !got.Equal(time.Unix(3, 0)) {
		t.Fatalf("clock at %v", got)
	}
}

func TestFastAndSkewed(t *testing.T) {
	base := NewStepping(time.Unix(1000, 0))
	start := time.Date(2001, 2, 15, 0, 0, 0, 0, time.UTC)
	f := Fast(base, time.Unix(1000, 0), start, 60)
	if err := f.Sleep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := base.Now(); !got.Equal(time.Unix(1060, 0)) {
		t.Fatalf("base at %v", got)
	}
	if got, want := f.Now(), start.Add(time.Hour); !got.Equal(want) {
		t.Fatalf("fast clock at %v, want %v", got, want)
	}
	if got, want := Skewed(f, -time.Hour).Now(), start; !got.Equal(want) {
		t.Fatalf("skewed clock at %v, want %v", got, want)
	}
}

func TestSeededRandRepeats(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	a, b := SeededRand(7), SeededRand(7)
	seen := map[string]bool{}
	for range 100 {
		x, y := NewUUID(a), NewUUID(b)
		if x != y || !form.MatchString(x) || seen[x] {
			t.Fatalf("%q, %q", x, y)
		}
		seen[x] = true
		if j := Jitter(a, time.Second); j < 0 || j >= time.Second || j != Jitter(b, time.Second) {
			t.Fatalf("jitter %v", j)
		}
	}
	if x := NewUUID(SystemRand()); !form.MatchString(x) || seen[x] {
		t.Fatalf("%q", x)
	}
	if Int64N(a, 0) != 0 || Jitter(a, -1) != 0 {
		t.Fatal("an empty range must give 0")
	}
	for _, n := range []int{-1, 0, 1, 8, 9, 20} {
		if got := NewToken(a, n); len(got) != 2*max(n, 0) {
			t.Fatalf("token of %d bytes: %q", n, got)
		}
	}
}

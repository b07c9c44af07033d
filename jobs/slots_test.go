package jobs

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSlotsOnOrdinaryAndOddDays(t *testing.T) {
	for _, c := range []struct {
		name, cron, zone, from, to string
		want                       []string
	}{
		{"nightly", "30 2 * * *", "America/Chicago", "2001-07-01T00:00:00Z", "2001-07-03T12:00:00Z", []string{"2001-07-01T07:30:00Z", "2001-07-02T07:30:00Z", "2001-07-03T07:30:00Z"}},
		{"the gap fires at its end", "30 2 * * *", "America/Chicago", "2001-03-31T12:00:00Z", "2001-04-02T12:00:00Z", []string{"2001-04-01T08:00:00Z", "2001-04-02T07:30:00Z"}},
		{"all of the gap is one slot", "*/20 * * * *", "America/Chicago", "2001-04-01T07:30:00Z", "2001-04-01T08:25:00Z", []string{"2001-04-01T07:40:00Z", "2001-04-01T08:00:00Z", "2001-04-01T08:20:00Z"}},
		{"what exists twice fires the first time", "30 1 * * *", "America/Chicago", "2001-10-28T00:00:00Z", "2001-10-29T12:00:00Z", []string{"2001-10-28T06:30:00Z", "2001-10-29T07:30:00Z"}},
		{"hourly over the double hour", "0 * * * *", "America/Chicago", "2001-10-28T05:30:00Z", "2001-10-28T08:30:00Z", []string{"2001-10-28T06:00:00Z", "2001-10-28T08:00:00Z"}},
		{"a zone that changes at midnight", "0 0 * * *", "America/Sao_Paulo", "2001-10-13T12:00:00Z", "2001-10-15T12:00:00Z", []string{"2001-10-14T03:00:00Z", "2001-10-15T02:00:00Z"}},
		{"a day that never was", "0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z", []string{"2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"}},
		{"half an hour of daylight saving", "15 2 * * *", "Australia/Lord_Howe", "2001-10-27T12:00:00Z", "2001-10-28T20:00:00Z", []string{"2001-10-27T15:30:00Z", "2001-10-28T15:15:00Z"}},
		{"a descriptor", "@daily", "UTC", "2001-02-15T00:00:00Z", "2001-02-17T00:00:00Z", []string{"2001-02-16T00:00:00Z", "2001-02-17T00:00:00Z"}},
		{"never", "0 0 30 2 *", "UTC", "2001-02-15T00:00:00Z", "2009-02-17T00:00:00Z", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := NewSlots(c.cron, zone(t, c.zone))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, at := range s.Between(moment(t, c.from), moment(t, c.to), 100) {
				got = append(got, at.Format(time.RFC3339))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// Every zone of the design's odd days: slots rise, none is lost, none doubled, whatever the instant from which the
// next one is asked.
func TestSlotsRiseFromEveryInstant(t *testing.T) {
	for _, name := range []string{"America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Asia/Kolkata", "UTC"} {
		for _, year := range []int{2001, 2011} {
			s, err := NewSlots("30 2 * * *", zone(t, name))
			if err != nil {
				t.Fatal(err)
			}
			from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			all := s.Between(from, from.AddDate(1, 0, 0), 1000)
			if len(all) < 364 || len(all) > 366 {
				t.Errorf("%s %d: %d slots", name, year, len(all))
			}
			i := 0
			for at := from; at.Before(from.AddDate(1, 0, 0)) && i < len(all); at = at.Add(17 * time.Minute) {
				for i < len(all) && !all[i].After(at) {
					i++
				}
				if i < len(all) && !s.Next(at).Equal(all[i]) {
					t.Fatalf("%s: after %v comes %v, want %v", name, at, s.Next(at), all[i])
				}
			}
		}
	}
}

func TestBetweenKeepsTheNewest(t *testing.T) {
	s, err := NewSlots("* * * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Between(moment(t, "2001-02-15T00:00:00Z"), moment(t, "2001-02-15T01:00:00Z"), 2)
	if len(got) != 2 || !got[1].Equal(moment(t, "2001-02-15T01:00:00Z")) || !got[0].Equal(moment(t, "2001-02-15T00:59:00Z")) {
		t.Errorf("got %v", got)
	}
}

func TestSchedulesThatAreRefused(t *testing.T) {
	for _, text := range []string{"", "* * * *", "* * * * * *", "61 * * * *", "@every 1m", "TZ=UTC 0 0 * * *", "CRON_TZ=UTC 0 0 * * *", "@never"} {
		if _, err := NewSlots(text, time.UTC); !errors.Is(err, ErrSchedule) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzSlots(f *testing.F) {
	f.Add("30 2 * * *", int64(986108400))
	f.Add("@daily", int64(0))
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		s, err := NewSlots(text, zone(t, "America/Chicago"))
		if err != nil {
			return
		}
		from := time.Unix(unix%(1<<33), 0)
		if next := s.Next(from); !next.IsZero() && !next.After(from) {
			t.Errorf("%q: after %v comes %v", text, from, next)
		}
	})
}

func moment(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

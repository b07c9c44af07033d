package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Defaults of pipeline.yml.
const (
	DefaultParallel    = 4
	DefaultMaxCatchup  = 100
	DefaultRetries     = 3
	DefaultBackoff     = 30 * time.Second
	DefaultBackoffMax  = 10 * time.Minute
	DefaultTaskTimeout = 2 * time.Hour
)

// pipelineFile reads pipeline.yml into p.
func (l *loader) pipelineFile(p *Pipeline, name string) error {
	var f pipelineFile
	text, err := l.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		l.stray(name, "is missing; an empty file will do")
		return nil
	}
	if err != nil {
		return err
	}
	d := decodeYAML(name, text, &f, &l.problems, l.expand)
	p.Description, p.Owner, p.Tags, p.Start = f.Description, f.Owner, f.Tags, f.Start
	l.zone(p, d, f.TimeZone)
	p.Trigger = Trigger{Cron: f.Trigger.Cron}
	if p.Trigger.Cron != "" {
		if why := checkCron(p.Trigger.Cron); why != "" {
			d.problem("trigger.cron", CodeBadValue, "%s", why)
		}
	}
	p.Catchup, p.MaxCatchup = orText(f.Catchup, "latest"), orInt(f.MaxCatchupRuns, DefaultMaxCatchup)
	if f.Catchup != "" && p.Trigger.Cron == "" {
		d.problem("catchup", CodeNoEffect, "without trigger.cron there are no slots to miss")
	}
	if f.MaxCatchupRuns != nil && f.Catchup != "all" {
		d.problem("max_catchup_runs", CodeNoEffect, "only with catchup: all")
	}
	p.Overlap = orText(f.Overlap, "queue")
	if p.Overlap == "cancel_running" || p.Overlap == "fail" {
		d.problem("overlap", CodeBadValue, "not supported yet in this version: %s", p.Overlap)
	}
	p.Parallel = orInt(f.Parallel, DefaultParallel)
	p.TaskTimeout = DefaultTaskTimeout
	if f.TaskTimeout != nil {
		p.TaskTimeout = *f.TaskTimeout
	}
	checkRetries(d, "retries", f.Retries)
	p.Retries = mergeRetries(f.Retries, l.lake.Defaults.Retries)
	return nil
}

func (l *loader) zone(p *Pipeline, d *decoder, name string) {
	key := "timezone"
	if name == "" {
		name, key, d = l.lake.Defaults.TimeZone, "defaults.timezone", l.lakeYAML
	}
	p.TimeZone, p.Location = orText(name, "UTC"), time.UTC
	loc, err := time.LoadLocation(p.TimeZone)
	if err != nil || strings.EqualFold(p.TimeZone, "local") {
		d.problem(key, CodeBadValue, "%q is not a time zone such as America/Chicago", p.TimeZone)
		return
	}
	p.Location = loc
}

// checkCron says why text is no schedule. @every has no slots that two machines would agree on.
func checkCron(text string) string {
	if strings.HasPrefix(text, "@every") {
		return "@every is not allowed; write five fields"
	}
	if strings.Contains(text, "TZ=") {
		return "the zone stands in timezone"
	}
	if _, err := cron.ParseStandard(text); err != nil {
		return fmt.Sprintf("%q is not a schedule: %s", text, err)
	}
	return ""
}

func checkRetries(d *decoder, key string, r retriesSpec) {
	if r.Backoff.Max > 0 && r.Backoff.Initial > r.Backoff.Max {
		d.problem(key+".backoff.initial", CodeBadValue, "is above backoff.max")
	}
}

// mergeRetries takes what a pipeline says, then what lake.yml says, then the defaults.
func mergeRetries(mine, project retriesSpec) Retries {
	r := Retries{
		Max: DefaultRetries, Initial: DefaultBackoff, MaxWait: DefaultBackoffMax,
		Classes: []Class{ClassIO, ClassThrottled, ClassConflict, ClassTimeout, ClassOOM},
	}
	for _, s := range []retriesSpec{project, mine} {
		if s.Max != nil {
			r.Max = *s.Max
		}
		if s.Backoff.Initial > 0 {
			r.Initial = s.Backoff.Initial
		}
		if s.Backoff.Max > 0 {
			r.MaxWait = s.Backoff.Max
		}
		if s.Classes != nil {
			r.Classes = nil
			for _, c := range s.Classes {
				r.Classes = append(r.Classes, Class(c))
			}
		}
	}
	return r
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orInt(p *int, b int) int {
	if p != nil {
		return *p
	}
	return b
}

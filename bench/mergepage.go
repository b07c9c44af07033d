package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

// The lines of a page between which its table stands.
const (
	pageBegin = "<!-- bench-merge: from here on written by make bench-merge -->"
	pageEnd   = "<!-- bench-merge: end -->"
)

// report prints the table as Markdown, and puts it into the page.
func (m *mergeRun) report() error {
	text := m.markdown()
	fmt.Println(text)
	if m.page == "" {
		return nil
	}
	b, err := os.ReadFile(m.page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	before, rest, found := strings.Cut(string(b), pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table", m.page)
	}
	return os.WriteFile(m.page, []byte(before+pageBegin+"\n\n"+text+"\n"+pageEnd+after), 0o644)
}

func (m *mergeRun) markdown() string {
	var b strings.Builder
	var all []ratios
	for _, t := range targets(m.tables.Scale) {
		var of []ratios
		var lines strings.Builder
		for _, c := range casesOf(t) {
			if r, ok := m.ratios(c, &lines); ok {
				of = append(of, r)
			}
		}
		if lines.Len() == 0 {
			continue
		}
		all = append(all, of...)
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "| %s | lakectl s | delta-rs s | Spark s | delta-rs ÷ ours | Spark ÷ ours | lakectl CPU s | delta-rs CPU s | Spark CPU s | lakectl peak MiB | delta-rs peak MiB | Spark peak MiB | scan after ÷ before |\n", t.title)
		b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		b.WriteString(lines.String())
		if len(of) > 1 {
			fmt.Fprintf(&b, "| **geometric mean** | | | | **%s** | **%s** | | | | | | | |\n", mean(of, ratios.overDeltaRS), mean(of, ratios.overSpark))
		}
	}
	fmt.Fprintf(&b, "\nGeometric mean over all cases: delta-rs takes %s times as long, Spark %s times; the smallest ratios are %s and %s. Of processor time\n"+
		"they take %s and %s times as much.\n",
		mean(all, ratios.overDeltaRS), mean(all, ratios.overSpark), least(all, ratios.overDeltaRS), least(all, ratios.overSpark),
		mean(all, ratios.cpuDeltaRS), mean(all, ratios.cpuSpark))
	return b.String()
}

// ratios are how many times as long the others take; 0 where they were not measured.
type ratios struct{ deltaRS, spark, deltaRSCPU, sparkCPU float64 }

func (r ratios) overDeltaRS() float64 { return r.deltaRS }
func (r ratios) overSpark() float64   { return r.spark }
func (r ratios) cpuDeltaRS() float64  { return r.deltaRSCPU }
func (r ratios) cpuSpark() float64    { return r.sparkCPU }

func (m *mergeRun) ratios(c mergeCase, out *strings.Builder) (ratios, bool) {
	f := map[string]figure{}
	scan := "–"
	for _, system := range []string{systemOurs, systemDeltaRS, systemSpark} {
		var rounds []figure
		for _, r := range m.results {
			if r.Case != c.title() || r.System != system {
				continue
			}
			rounds = append(rounds, r.Figure)
			if r.Fresh > 0 {
				scan = fmt.Sprintf("%.2f", r.Scan/r.Fresh)
			}
		}
		if len(rounds) > 0 {
			f[system] = median(rounds)
		}
	}
	ours, ok := f[systemOurs]
	if !ok {
		return ratios{}, false
	}
	seconds := func(system string) string { return figureText(f[system].Seconds, "%.2f") }
	cpu := func(system string) string { return figureText(f[system].CPU, "%.2f") }
	peak := func(system string) string { return figureText(float64(f[system].RSS>>20), "%.0f") }
	r := ratios{
		f[systemDeltaRS].Seconds / ours.Seconds, f[systemSpark].Seconds / ours.Seconds,
		f[systemDeltaRS].CPU / ours.CPU, f[systemSpark].CPU / ours.CPU,
	}
	_, _ = fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c.Name, seconds(systemOurs), seconds(systemDeltaRS), seconds(systemSpark),
		figureText(r.deltaRS, "%.1f"), figureText(r.spark, "%.1f"), cpu(systemOurs), cpu(systemDeltaRS), cpu(systemSpark), peak(systemOurs), peak(systemDeltaRS), peak(systemSpark), scan)
	return r, true
}

func figureText(v float64, format string) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// mean is the geometric one, of the cases that have the ratio.
func mean(all []ratios, of func(ratios) float64) string {
	sum, n := 0.0, 0
	for _, r := range all {
		if v := of(r); v > 0 {
			sum, n = sum+math.Log(v), n+1
		}
	}
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", math.Exp(sum/float64(n)))
}

func least(all []ratios, of func(ratios) float64) string {
	low := math.Inf(1)
	for _, r := range all {
		if v := of(r); v > 0 {
			low = min(low, v)
		}
	}
	return fmt.Sprintf("%.1f", low)
}

package faultproxy

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// Action is what happens to a request that a rule picks.
type Action string

// The actions.
const (
	Status    Action = "status"     // answer Rule.Status; the store does not see the request
	Delay     Action = "delay"      // wait Rule.Delay, then forward
	CutBody   Action = "cut-body"   // the store gets half of the body and the end of the connection; the client a reset
	DropReply Action = "drop-reply" // the store answers; the client gets a reset instead
	Late      Action = "late"       // the client gets a reset now; the store gets the request after Rule.Delay
	Twice     Action = "twice"      // the store gets it twice; the client gets the second answer
	Truncate  Action = "truncate"   // the client gets half of the reply's body under its full length, then a reset
	Stall     Action = "stall"      // nothing reaches anybody for Rule.Delay; then the client gets a reset
)

// Rule picks requests and says what happens to them. Exactly one of Nth, Every and Probability is set.
type Rule struct {
	Name        string        `json:"name"`
	Method      string        `json:"method,omitempty"` // "" is any
	Key         string        `json:"key,omitempty"`    // regular expression over the path as sent, bucket first; "" is any
	Header      string        `json:"header,omitempty"` // must be there; "" is any
	Nth         int           `json:"nth,omitempty"`    // this matching request, from 1
	Every       int           `json:"every,omitempty"`  // each so many matching requests
	Probability float64       `json:"probability,omitempty"`
	Max         int           `json:"max,omitempty"` // times at most; 0: no limit
	Action      Action        `json:"action"`
	Status      int           `json:"status,omitempty"` // of Status
	Delay       time.Duration `json:"delay,omitempty"`  // in nanoseconds, of Delay, Late and Stall
}

func (r *Rule) validate() error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("rule %q: "+format, append([]any{r.Name}, args...)...))
	}
	ways := 0
	for _, set := range []bool{r.Nth > 0, r.Every > 0, r.Probability > 0} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		bad("set one of nth, every and probability")
	}
	if _, err := regexp.Compile(r.Key); err != nil {
		bad("key: %w", err)
	}
	switch r.Action {
	case Status:
		if statusText(r.Status) == "" {
			bad("status %d", r.Status)
		}
	case Delay, Late, Stall:
		if r.Delay <= 0 {
			bad("%s needs a delay", r.Action)
		}
	case CutBody, DropReply, Twice, Truncate:
	default:
		bad("action %q", r.Action)
	}
	return errors.Join(problems...)
}

// statusText is the S3 error code that goes with a status, "" for one that the proxy does not answer.
func statusText(status int) string {
	switch status {
	case 409:
		return "ConditionalRequestConflict"
	case 429:
		return "TooManyRequests"
	case 500:
		return "InternalError"
	case 503:
		return "SlowDown"
	}
	return ""
}

// armed is a rule with its counts.
type armed struct {
	Rule
	key         *regexp.Regexp
	seen, fired int
}

func arm(rules []Rule) ([]*armed, error) {
	var problems []error
	var out []*armed
	for _, r := range rules {
		if err := r.validate(); err != nil {
			problems = append(problems, err)
			continue
		}
		out = append(out, &armed{Rule: r, key: regexp.MustCompile(r.Key)})
	}
	return out, errors.Join(problems...)
}

// picks tells whether the rule fires on m, and counts.
func (a *armed) picks(m *message, chance clock.Rand) bool {
	if a.Method != "" && a.Method != m.first[0] || a.Header != "" && m.field(a.Header) == "" || !a.key.MatchString(m.path()) {
		return false
	}
	a.seen++
	if a.Max > 0 && a.fired >= a.Max {
		return false
	}
	hit := false
	switch {
	case a.Nth > 0:
		hit = a.seen == a.Nth
	case a.Every > 0:
		hit = a.seen%a.Every == 0
	default:
		hit = float64(chance.Uint64()>>11)/(1<<53) < a.Probability
	}
	if hit {
		a.fired++
	}
	return hit
}

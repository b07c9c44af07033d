// Package faultproxy stands between an S3 client and its store and does to single requests what networks and tired
// servers do: loses replies, delivers late or twice, cuts, stalls, answers 503.
//
// It forwards untouched: origin-form target and Host as received, body byte for byte, all of which is signed. It adds no
// header, decompresses nothing, keeps no connection to the store, and never repeats a request unless a rule says so.
package faultproxy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// Options of a proxy.
type Options struct {
	Upstream string    // the store, "http://127.0.0.1:port"
	Address  string    // to listen on; "" is a free port of 127.0.0.1
	Rules    []Rule    // in order; the first that fires acts
	Seed     uint64    // of the probabilities
	Log      io.Writer // a JSON line for each firing, without headers and query; nil: none
}

// Proxy is a running proxy. Safe for concurrent use.
type Proxy struct {
	upstream string
	listener net.Listener
	ctx      context.Context //nolint:containedctx // of all connections, ended by Close
	stop     context.CancelFunc
	work     sync.WaitGroup // connections and late deliveries

	mu    sync.Mutex // guards the fields below; a leaf lock
	rules []*armed
	rand  clock.Rand
	log   io.Writer
	fired map[Action]int
	total int        // requests
	late  int        // requests on their way to be late
	quiet *sync.Cond // on mu; signals that late is zero
}

// Start listens on loopback and forwards until Close.
func Start(o Options) (*Proxy, error) {
	u, err := url.Parse(o.Upstream)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("upstream %q is not http://host:port", o.Upstream)
	}
	rules, err := arm(o.Rules)
	if err != nil {
		return nil, err
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{
		upstream: u.Host, listener: l, ctx: ctx, stop: stop, rules: rules,
		rand: clock.SeededRand(o.Seed), log: o.Log, fired: map[Action]int{},
	}
	p.quiet = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	return p, nil
}

// URL is what clients use as their endpoint.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Close ends all connections. Late requests that have not been delivered are dropped.
func (p *Proxy) Close() error {
	p.stop()
	err := p.listener.Close()
	p.work.Wait()
	return err
}

// SetRules replaces all rules; their counts begin anew, those of Fired go on.
func (p *Proxy) SetRules(rules ...Rule) error {
	a, err := arm(rules)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = a
	return nil
}

// Fired tells how often each action happened.
func (p *Proxy) Fired() map[Action]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[Action]int{}
	for a, n := range p.fired {
		out[a] = n
	}
	return out
}

// Requests is the number of requests so far.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Settle waits until every late request has been delivered.
func (p *Proxy) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.late > 0 {
		p.quiet.Wait()
	}
}

// deliverLate forwards m after d.
func (p *Proxy) deliverLate(m *message, d time.Duration) {
	if p.wait(d) == nil {
		_, _ = p.forward(m) // nobody hears of it
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late--; p.late == 0 {
		p.quiet.Broadcast()
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c) })
	}
}

// serve answers the requests of one connection.
func (p *Proxy) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	end := context.AfterFunc(p.ctx, func() { _ = c.Close() })
	defer end()
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		m, err := readRequest(r, func() error { _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); return err })
		if err != nil {
			return
		}
		if p.handle(c, m) != nil || m.ends {
			return
		}
	}
}

// errReset ends the connection of a client that got a reset.
var errReset = errors.New("connection was reset")

// handle answers one request, with the fault that a rule picks for it.
func (p *Proxy) handle(c net.Conn, m *message) error {
	rule := p.pick(m)
	switch {
	case rule == nil:
		return p.pass(c, m)
	case rule.Action == Status:
		return answer(c, m, rule.Status)
	case rule.Action == Delay:
		if p.wait(rule.Delay) != nil {
			return errReset
		}
		return p.pass(c, m)
	case rule.Action == Twice:
		if _, err := p.forward(m); err != nil {
			return reset(c)
		}
		return p.pass(c, m)
	case rule.Action == Truncate:
		return p.truncate(c, m)
	case rule.Action == CutBody:
		p.cut(m)
	case rule.Action == DropReply:
		_, _ = p.forward(m) // whatever it is, nobody hears of it
	case rule.Action == Late:
		p.work.Go(func() { p.deliverLate(m, rule.Delay) })
	case rule.Action == Stall:
		_ = p.wait(rule.Delay)
	}
	return reset(c)
}

// pick finds the rule that fires, counts it and logs it.
func (p *Proxy) pick(m *message) *Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total++
	for _, a := range p.rules {
		if !a.picks(m, p.rand) {
			continue
		}
		p.fired[a.Action]++
		if a.Action == Late {
			p.late++
		}
		if p.log != nil {
			line, err := json.Marshal(firing{time.Now().UnixNano(), a.Name, a.Action, m.first[0], m.path(), a.seen, a.fired})
			if err == nil {
				_, _ = p.log.Write(append(line, '\n')) // a log that is full must not stop the test
			}
		}
		r := a.Rule
		return &r
	}
	return nil
}

// firing is a line of the log.
type firing struct {
	Time   int64  `json:"time"` // nanoseconds since 1970
	Rule   string `json:"rule"`
	Action Action `json:"action"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Seen   int    `json:"seen"`
	Fired  int    `json:"fired"`
}

func (p *Proxy) wait(d time.Duration) error { return clock.System().Sleep(p.ctx, d) }

// pass forwards m and its answer.
func (p *Proxy) pass(c net.Conn, m *message) error {
	reply, err := p.forward(m)
	if err != nil {
		return reset(c)
	}
	if _, err := c.Write(reply.bytes()); err != nil {
		return err
	}
	if reply.ends {
		return io.EOF
	}
	return nil
}

// forward sends m to the store on a connection of its own and reads the whole answer.
func (p *Proxy) forward(m *message) (*message, error) {
	up, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = up.Close() }()
	end := context.AfterFunc(p.ctx, func() { _ = up.Close() })
	defer end()
	// A store may answer before it has read everything, and then stop reading.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = up.Write(m.bytes()) // the answer, or its absence, tells
	}()
	reply, err := readReply(bufio.NewReaderSize(up, 64<<10), m.first[0])
	_ = up.Close()
	<-sent
	return reply, err
}

func (p *Proxy) dial() (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	return d.DialContext(p.ctx, "tcp", p.upstream)
}

// cut sends half of the body and ends the connection.
func (p *Proxy) cut(m *message) {
	up, err := p.dial()
	if err != nil {
		return
	}
	_, _ = up.Write(m.head)
	_, _ = up.Write(m.body[:len(m.body)/2])
	_ = reset(up)
}

// truncate passes the reply on with half of its body. A reply without a body is dropped.
func (p *Proxy) truncate(c net.Conn, m *message) error {
	reply, err := p.forward(m)
	if err == nil && len(reply.body) > 0 {
		_, _ = c.Write(append(reply.head, reply.body[:len(reply.body)/2]...))
		// The bytes should arrive before the reset overtakes them.
		_ = p.wait(20 * time.Millisecond)
	}
	return reset(c)
}

// reset ends a connection so that the other side sees a reset, not an end.
func reset(c net.Conn) error {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
	return errReset
}

// answer replies for the store.
func answer(c net.Conn, m *message, status int) error {
	code := statusText(status)
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>by the fault proxy</Message></Error>`, code)
	length := len(body)
	if m.first[0] == "HEAD" {
		body = ""
	}
	_, err := fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s", status, code, length, body)
	return err
}

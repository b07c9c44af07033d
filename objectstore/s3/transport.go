package s3

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// transport speaks HTTP for one store: bounded in the time to connect and in the time without a byte, verifying TLS,
// and noting the store's clock.
type transport struct{ base *http.Transport }

func newTransport(o *Options) *transport {
	dialer := &net.Dialer{Timeout: o.DialTimeout, KeepAlive: 30 * time.Second}
	return &transport{&http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: c, clock: o.Clock, limit: o.StallTimeout}, nil
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    o.DialTimeout,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        o.StallTimeout,
		DisableCompression:     true, // objects are bytes, whatever their Content-Encoding
		MaxResponseHeaderBytes: 256 << 10,
	}}
}

// exchange is what the last reply to a call tells beyond what the SDK passes on. Parts of one upload note theirs side by
// side.
type exchange struct{ unix atomic.Int64 }

// date is the store's clock, to the second; zero if it did not tell.
func (e *exchange) date() time.Time {
	if s := e.unix.Load(); s != 0 {
		return time.Unix(s, 0).UTC()
	}
	return time.Time{}
}

type exchangeKey struct{}

// observe returns a ctx under which the next exchange is noted.
func observe(ctx context.Context) (context.Context, *exchange) {
	e := &exchange{}
	return context.WithValue(ctx, exchangeKey{}, e), e
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if e, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
		if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			e.unix.Store(date.Unix())
		}
	}
	return res, nil
}

// CloseIdleConnections lets go of connections that nobody uses.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// stallConn fails when no byte moves for the limit. A write that moves on also keeps the read alive that already waits
// for the reply.
type stallConn struct {
	net.Conn
	clock clock.Clock
	limit time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.clock.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(c.clock.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

package faultproxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of one message. Everything is kept whole, so that it can be sent late or twice.
const (
	headBytesMax = 256 << 10
	bodyBytesMax = 256 << 20
)

// errTooLarge says that a message is over a bound. Terminal.
var errTooLarge = errors.New("message too large for the proxy")

// message is one HTTP/1.1 message, byte for byte: signatures cover what a proxy must not touch.
type message struct {
	head []byte // with the empty line
	body []byte // as it was framed
	// The first line's three parts: method, target, version; or version, status, reason.
	first [3]string
	ends  bool // the sender closes the connection after it
}

// field returns a header's value, "" without it.
func (m *message) field(name string) string {
	for line := range bytes.Lines(m.head) {
		key, value, ok := strings.Cut(string(line), ":")
		if ok && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// path is the target without its query.
func (m *message) path() string {
	p, _, _ := strings.Cut(m.first[1], "?")
	return p
}

func (m *message) bytes() []byte { return append(bytes.Clone(m.head), m.body...) }

// readHead reads up to the empty line.
func readHead(r *bufio.Reader) (*message, error) {
	m := &message{}
	for {
		line, err := r.ReadSlice('\n')
		m.head = append(m.head, line...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // the line goes on
		case err != nil && len(m.head) > 0 && errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if len(m.head) > headBytesMax {
			return nil, errTooLarge
		}
		if bytes.HasSuffix(m.head, []byte("\r\n\r\n")) {
			break
		}
	}
	line, _, _ := strings.Cut(string(m.head), "\r\n")
	parts := strings.SplitN(line, " ", 3)
	if len(parts) < 2 {
		return nil, fmt.Errorf("first line %q", line)
	}
	copy(m.first[:], parts)
	m.ends = strings.EqualFold(m.field("Connection"), "close")
	return m, nil
}

// readRequest reads a request whole. Where the client waits for leave to send its body, it gets it.
func readRequest(r *bufio.Reader, leave func() error) (*message, error) {
	m, err := readHead(r)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(m.field("Expect"), "100-continue") {
		if err := leave(); err != nil {
			return nil, err
		}
	}
	err = m.readBody(r, false)
	return m, err
}

// readReply reads the answer to a request of this method whole, leaving out interim ones.
func readReply(r *bufio.Reader, method string) (*message, error) {
	for {
		m, err := readHead(r)
		if err != nil {
			return nil, err
		}
		status, err := strconv.Atoi(m.first[1])
		if err != nil {
			return nil, fmt.Errorf("status %q", m.first[1])
		}
		switch {
		case status < 200:
			continue
		case method == "HEAD", status == 204, status == 304:
			return m, nil
		}
		err = m.readBody(r, true)
		return m, err
	}
}

// readBody reads the body as it is framed. Without a length a request has none, and a reply goes on to the end.
func (m *message) readBody(r *bufio.Reader, reply bool) error {
	if strings.EqualFold(m.field("Transfer-Encoding"), "chunked") {
		return m.readChunks(r)
	}
	length := m.field("Content-Length")
	if length == "" {
		if !reply {
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(r, bodyBytesMax+1))
		if m.body, m.ends = b, true; len(b) > bodyBytesMax {
			return errTooLarge
		}
		return err
	}
	n, err := strconv.ParseInt(length, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("content length %q", length)
	}
	return m.take(r, n)
}

// take appends n bytes to the body.
func (m *message) take(r *bufio.Reader, n int64) error {
	if n > bodyBytesMax-int64(len(m.body)) {
		return errTooLarge
	}
	var b bytes.Buffer
	b.Grow(int(min(n, 1<<20)))
	if _, err := io.CopyN(&b, r, n); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	m.body = append(m.body, b.Bytes()...)
	return nil
}

// readChunks keeps chunks, their sizes and the trailer as they are.
func (m *message) readChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read chunk: %w", err)
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("chunk size %q", size)
		}
		m.body = append(m.body, line...)
		if n > 0 {
			if err := m.take(r, n+2); err != nil {
				return err
			}
			continue
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return fmt.Errorf("read trailer: %w", err)
			}
			m.body = append(m.body, line...)
			if strings.TrimSpace(line) == "" {
				return nil
			}
			if len(m.body) > bodyBytesMax {
				return errTooLarge
			}
		}
	}
}

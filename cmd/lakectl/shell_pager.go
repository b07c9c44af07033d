package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"unicode/utf8"
)

// errPagerClosed says that the person has seen enough. Terminal.
var errPagerClosed = errors.New("the pager was closed")

// pageBytes is how much of a result is held back to see whether it fits the screen.
const pageBytes = 1 << 20

// page is what a statement prints: held back while it fits the screen, and given to a pager as soon as it does not.
type page struct {
	ctx           context.Context //nolint:containedctx // an io.Writer has no other way to get the one of its statement
	out           *os.File
	notes         io.Writer
	command       string // of the pager; "": the result is not paged
	env           []string
	width, height int
	closed        func() // called when the person closes the pager

	held    bytes.Buffer // of the result, before there is a pager
	late    bytes.Buffer // notes that come after the result
	lines   int
	column  int
	pager   *exec.Cmd
	input   io.WriteCloser
	gone    chan struct{} // closed when the pager has ended
	failure error         // of starting it
}

// Write takes a piece of the result.
func (p *page) Write(b []byte) (int, error) {
	if p.pager != nil {
		n, err := p.input.Write(b)
		if err != nil {
			return n, errPagerClosed
		}
		return n, nil
	}
	if p.command == "" {
		return p.out.Write(b)
	}
	p.held.Write(b)
	if p.fits(b) {
		return len(b), nil
	}
	if err := p.start(); err != nil {
		p.failure, p.command = err, ""
		if err := p.flush(); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	if err := p.flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// fits tells whether the result, b being its newest piece, still fits the screen below the prompt.
func (p *page) fits(b []byte) bool {
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		p.column += visible(string(line))
		if p.column > p.width {
			return false
		}
		if ended {
			p.lines, p.column = p.lines+1, 0
		}
		b = rest
	}
	return p.lines < p.height-1 && p.held.Len() < pageBytes
}

// visible is the number of characters that a terminal shows of a text.
func visible(s string) int {
	n := utf8.RuneCountInString(s)
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return n
		}
		end := strings.IndexByte(s[i:], 'm')
		if end < 0 {
			return n
		}
		n -= end + 1
		s = s[i+end+1:]
	}
}

func (p *page) start() error {
	c := exec.CommandContext(context.WithoutCancel(p.ctx), "sh", "-c", p.command) //nolint:gosec // the person's own choice of a pager
	c.Stdout, c.Stderr, c.Env = p.out, p.notes, p.env
	input, err := c.StdinPipe()
	if err != nil {
		return fmt.Errorf("start pager: %w", err)
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start pager: %w", err)
	}
	p.pager, p.input, p.gone = c, input, make(chan struct{})
	go func() {
		_ = c.Wait() // whatever its exit code is, the person has seen it
		close(p.gone)
		p.closed()
	}()
	return nil
}

// flush hands on what was held back.
func (p *page) flush() error {
	defer p.held.Reset()
	if p.pager == nil {
		_, err := p.out.Write(p.held.Bytes())
		return err
	}
	if _, err := p.input.Write(p.held.Bytes()); err != nil {
		return errPagerClosed
	}
	return nil
}

// note is the writer for remarks: those that come after the begin of the result wait until all of it is shown.
func (p *page) note() io.Writer { return noteWriter{p} }

type noteWriter struct{ page *page }

func (w noteWriter) Write(b []byte) (int, error) {
	if (w.page.pager != nil || w.page.held.Len() > 0) && w.page.late.Len() < pageBytes {
		return w.page.late.Write(b)
	}
	return w.page.notes.Write(b)
}

// close shows the rest, waits until the person has closed the pager, and then shows the notes.
func (p *page) close() error {
	err := p.failure
	if p.pager == nil {
		err = errors.Join(err, p.flush())
	} else {
		_ = p.input.Close() // the pager may be gone already
		<-p.gone
		p.pager = nil
	}
	_, noteErr := p.notes.Write(p.late.Bytes())
	return errors.Join(err, noteErr)
}

// pagerCommand is the program that shows long results, and its environment: LAKE_PAGER, PAGER, or less where there is
// one. "" pages nothing.
func pagerCommand(env func(string) string) string {
	for _, name := range []string{"LAKE_PAGER", "PAGER"} {
		if c := strings.TrimSpace(env(name)); c != "" {
			if c == "cat" || c == "off" {
				return ""
			}
			return c
		}
	}
	if env("TERM") == "dumb" {
		return ""
	}
	if _, err := exec.LookPath("less"); err != nil {
		return ""
	}
	return "less"
}

// pagerEnviron lets less show colours, not wrap wide rows, and leave the result on the screen, unless LESS says
// otherwise.
func pagerEnviron(environ []string) []string {
	for _, e := range environ {
		if strings.HasPrefix(e, "LESS=") {
			return environ
		}
	}
	return append(environ, "LESS=SRX")
}

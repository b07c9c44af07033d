package main

import (
	"bytes"
	"fmt"
	"io"
)

// Keys and sequences of keys, as terminals send them and as the line editor knows them.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyTab       = '\t'
	keySearch    = 0x12 // Ctrl-R
	keyEscape    = 0x1b
	endOfLine    = "\x05"
	eraseWord    = "\x17"
	wordLeft     = "\x1b[1;3D"
	wordRight    = "\x1b[1;3C"
	pasteBegin   = "\x1b[200~"
	pasteEnd     = "\x1b[201~"
)

// sequences are what terminals send for keys that the line editor knows by another sequence, or by the same.
func sequences() map[string]string {
	return map[string]string{
		"[A": "\x1b[A", "[B": "\x1b[B", "[C": "\x1b[C", "[D": "\x1b[D", "[H": "\x1b[H", "[F": "\x1b[F",
		"OA": "\x1b[A", "OB": "\x1b[B", "OC": "\x1b[C", "OD": "\x1b[D", "OH": "\x1b[H", "OF": "\x1b[F",
		"[1~": "\x1b[H", "[7~": "\x1b[H", "[4~": "\x1b[F", "[8~": "\x1b[F", "[3~": "\x1b[3~",
		"[1;3C": wordRight, "[1;5C": wordRight, "[5C": wordRight, "f": wordRight,
		"[1;3D": wordLeft, "[1;5D": wordLeft, "[5D": wordLeft, "b": wordLeft,
		"\x7f": eraseWord, "\x08": eraseWord,
	}
}

// keyReader stands between the keyboard and the line editor. It hands out one line at a time, spells keys the way the
// editor knows them, drops the others, waits for the end of a pasted text, which then holds no keys, and turns Ctrl-C
// into the end of the line, with a note that it was Ctrl-C: the editor takes it for the end of the input.
type keyReader struct {
	in      io.Reader
	echo    io.Writer
	known   map[string]string
	raw     []byte // read and not decoded
	ready   []byte // decoded, not handed out
	pasting bool   // raw is inside a pasted text
	ending  bool   // Ctrl-C was met: the end of the line comes next
	aborted bool   // the line that was handed out last was ended by Ctrl-C
}

func newKeyReader(in io.Reader, echo io.Writer) *keyReader {
	return &keyReader{in: in, echo: echo, known: sequences()}
}

// Read hands out keys, none beyond the end of a line.
func (k *keyReader) Read(p []byte) (int, error) {
	for len(k.ready) == 0 {
		if k.ending { // the cursor stands at the end of the line by now
			fmt.Fprint(k.echo, "^C")
			k.ready, k.ending, k.aborted = []byte{'\r'}, false, true
			break
		}
		if k.decode() {
			continue
		}
		var buf [4096]byte
		n, err := k.in.Read(buf[:])
		k.raw = append(k.raw, buf[:n]...)
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := len(k.ready)
	if end := bytes.IndexByte(k.ready, '\r'); end >= 0 {
		n = end + 1
	}
	n = copy(p, k.ready[:n])
	k.ready = k.ready[n:]
	return n, nil
}

// decode takes one key or one pasted text off raw. It tells whether there was a whole one.
func (k *keyReader) decode() bool {
	if k.pasting {
		return k.paste()
	}
	if len(k.raw) == 0 {
		return false
	}
	switch b := k.raw[0]; b {
	case keyInterrupt:
		k.ready, k.ending = append(k.ready, endOfLine...), true
	case '\n':
		k.ready = append(k.ready, '\r')
	case keyEscape:
		return k.escape()
	default:
		k.ready = append(k.ready, b)
	}
	k.raw = k.raw[1:]
	return true
}

// escape decodes a key that begins with ESC: ESC [ … letter, ESC O letter, or ESC and a key, which is Alt with it.
func (k *keyReader) escape() bool {
	end := 2
	if len(k.raw) >= 2 && (k.raw[1] == '[' || k.raw[1] == 'O') {
		for end = 3; end <= len(k.raw) && k.raw[1] == '[' && (k.raw[end-1] < 0x40 || k.raw[end-1] > 0x7e); end++ {
			if end > 32 { // no key is that long
				k.raw = k.raw[end:]
				return true
			}
		}
	}
	if end > len(k.raw) {
		return false
	}
	sequence := string(k.raw[:end])
	k.raw = k.raw[end:]
	if sequence == pasteBegin {
		k.pasting = true
		return true
	}
	k.ready = append(k.ready, k.known[sequence[1:]]...)
	return true
}

// paste decodes a pasted text once it is whole. Tabs become blanks, other control characters go.
func (k *keyReader) paste() bool {
	end := bytes.Index(k.raw, []byte(pasteEnd))
	if end < 0 && len(k.raw) > maxSQL {
		end = 0 // it could not be run; what follows is taken as typed
		k.raw = append([]byte(pasteEnd), k.raw[len(k.raw)-len(pasteEnd):]...)
	}
	if end < 0 {
		return false
	}
	text := bytes.ReplaceAll(bytes.ReplaceAll(k.raw[:end], []byte("\r\n"), []byte("\r")), []byte("\n"), []byte("\r"))
	k.raw, k.pasting = k.raw[end+len(pasteEnd):], false
	k.ready = append(k.ready, pasteBegin...)
	for _, b := range text {
		switch {
		case b == '\t':
			k.ready = append(k.ready, ' ')
		case b >= ' ' && b != 0x7f || b == '\r':
			k.ready = append(k.ready, b)
		}
	}
	k.ready = append(k.ready, pasteEnd...)
	return true
}

package txlog

import (
	"encoding/binary"
	"errors"
	"strings"
)

// z85Alphabet is that of ZeroMQ RFC 32: five characters for each four bytes.
const z85Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// decodeZ85 turns text into bytes. The length must be a multiple of five, each group below 2 to the 32.
func decodeZ85(s string) ([]byte, error) {
	if len(s)%5 != 0 {
		return nil, errors.New("length of Z85 text is no multiple of 5")
	}
	out := make([]byte, 0, len(s)/5*4)
	for i := 0; i < len(s); i += 5 {
		var v uint64
		for _, c := range []byte(s[i : i+5]) {
			digit := strings.IndexByte(z85Alphabet, c)
			if digit < 0 {
				return nil, errors.New("character outside Z85")
			}
			v = v*85 + uint64(digit)
		}
		if v >= 1<<32 {
			return nil, errors.New("group of Z85 is too large")
		}
		out = binary.BigEndian.AppendUint32(out, uint32(v))
	}
	return out, nil
}

// encodeZ85 turns bytes into text. The length must be a multiple of four; the rest is filled with zeros.
func encodeZ85(b []byte) string {
	out := make([]byte, 0, (len(b)+3)/4*5)
	for i := 0; i < len(b); i += 4 {
		var group [4]byte
		copy(group[:], b[i:])
		v := binary.BigEndian.Uint32(group[:])
		var digits [5]byte
		for n := range digits {
			digits[len(digits)-1-n] = z85Alphabet[v%85]
			v /= 85
		}
		out = append(out, digits[:]...)
	}
	return string(out)
}

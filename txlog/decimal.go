package txlog

import (
	"math/big"
	"strings"
)

// Decimal is an exact decimal number: Unscaled divided by ten to the power of Scale.
type Decimal struct {
	Unscaled *big.Int
	Scale    int
}

// String is the plain form, without an exponent and with exactly Scale digits after the point.
func (d Decimal) String() string {
	if d.Unscaled == nil {
		return "0"
	}
	if d.Scale <= 0 {
		scaled := new(big.Int).Mul(d.Unscaled, tenTo(-d.Scale))
		return scaled.String()
	}
	digits := new(big.Int).Abs(d.Unscaled).String()
	if len(digits) <= d.Scale {
		digits = strings.Repeat("0", d.Scale-len(digits)+1) + digits
	}
	sign := ""
	if d.Unscaled.Sign() < 0 {
		sign = "-"
	}
	return sign + digits[:len(digits)-d.Scale] + "." + digits[len(digits)-d.Scale:]
}

// Rat is the same number as a fraction.
func (d Decimal) Rat() *big.Rat {
	if d.Unscaled == nil {
		return new(big.Rat)
	}
	if d.Scale <= 0 {
		return new(big.Rat).SetInt(new(big.Int).Mul(d.Unscaled, tenTo(-d.Scale)))
	}
	return new(big.Rat).SetFrac(d.Unscaled, tenTo(d.Scale))
}

// decimalOf turns a fraction into a decimal of the given scale; ok is false where digits would be lost.
func decimalOf(r *big.Rat, scale int) (d Decimal, ok bool) {
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(tenTo(scale)))
	return Decimal{Unscaled: new(big.Int).Set(scaled.Num()), Scale: scale}, scaled.IsInt()
}

// parseDecimal reads a plain or exponent form of bounded length exactly, never through a float.
func parseDecimal(s string) (*big.Rat, bool) {
	if len(s) == 0 || len(s) > 100 || !validNumber([]byte(strings.TrimPrefix(s, "+"))) {
		return nil, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 5 {
		return nil, false // an exponent of more than three digits would build a huge number
	}
	return new(big.Rat).SetString(s)
}

func tenTo(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, 0))), nil)
}

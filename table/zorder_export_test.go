package table

// MortonSQL is mortonSQL, for tests that run it.
func MortonSQL(columns, bits int) string { return mortonSQL(columns, bits) }

// RankBits is rankBits.
func RankBits(columns int) int { return rankBits(columns) }

//go:build mutants

package mutant

import "os"

// Possible tells whether a bug can be planted in this program.
const Possible = true

// planted is read once, when the program starts, and never changes.
var planted = Name(os.Getenv(Variable))

// On tells whether a bug is planted.
func On(n Name) bool { return n == planted }

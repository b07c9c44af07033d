// Package interop checks the page of the interop run; the run itself is interop.py, started by `make interop-peers`.
package interop

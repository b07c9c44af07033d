// Package contract counts what the contract of a store promises where writers meet: in a create race there is one
// winner for each key, and the object is the winner's.
package contract

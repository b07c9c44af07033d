// Package protocolmodel searches every state of a small model of the protocol between writers, clean-up, vacuum and
// leases (reliability, R17), and shows that the rules of the log are needed: each one that is taken away leads to a
// state that a promise forbids. It is made of tests only.
package protocolmodel

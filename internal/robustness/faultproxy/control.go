package faultproxy

import (
	"encoding/json"
	"net/http"
)

// controlBytesMax bounds a list of rules.
const controlBytesMax = 1 << 20

// Control changes the proxy from another process: PUT /rules replaces the rules, GET /fired tells how often each action
// happened, POST /settle waits for late requests. It is meant for a loopback port of its own.
func (p *Proxy) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /rules", func(w http.ResponseWriter, r *http.Request) {
		var rules []Rule
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, controlBytesMax))
		d.DisallowUnknownFields()
		err := d.Decode(&rules)
		if err == nil {
			err = p.SetRules(rules...)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /fired", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.Fired()) // the client is gone otherwise
	})
	mux.HandleFunc("POST /settle", func(http.ResponseWriter, *http.Request) { p.Settle() })
	return mux
}

package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"

	"github.com/sluice-gems/sluice/economy"
)

func (s *Simulator) routeControl() {
	routes := map[string]http.HandlerFunc{
		"GET /control":                       s.listControls,
		"GET /control/{$}":                   s.listControls,
		"GET /control/faults":                s.showFaults,
		"PUT /control/faults":                s.changeFaults,
		"PATCH /control/faults":              s.changeFaults,
		"POST /control/customers/{customer}": s.setCustomer,
		"GET /control/customers/{customer}":  s.controlCustomer,
		"GET /control/stats":                 s.showStats,
		"POST /control/reset":                s.reset,
		"/control/": func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusNotFound, errors.New("no such control: GET /control lists them"))
		},
	}
	maps.Copy(routes, s.storeControls())
	for pattern, handle := range routes {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !s.controls && !loopback(r.RemoteAddr) {
				refuse(w, http.StatusForbidden, errors.New("the control side answers this machine only"))
				return
			}
			handle(w, r)
		})
	}
}

// loopback reports whether a caller is on this machine. What is no IP address
// is not.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

func (s *Simulator) showFaults(w http.ResponseWriter, _ *http.Request) { show(w, s.Faults()) }

func (s *Simulator) changeFaults(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	faults, err := s.mergeFaults(raw, r.Method == http.MethodPatch)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.log.InfoContext(r.Context(), "faults changed", "faults", fmt.Sprintf("%+v", faults))
	show(w, faults)
}

// mergeFaults sets the faults that raw names, on top of those that are on when
// keep is true, else on top of none.
func (s *Simulator) mergeFaults(raw []byte, keep bool) (Faults, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var faults Faults
	if keep {
		faults = s.faults
	}
	if err := json.Unmarshal(raw, &faults); err != nil {
		return Faults{}, err
	}
	if err := faults.Validate(); err != nil {
		return Faults{}, err
	}
	s.faults = faults
	return faults, nil
}

// customerView is a customer as the control side shows it.
type customerView struct {
	ID           string          `json:"id"`
	Balances     economy.Amounts `json:"balances"`
	Transactions []Transaction   `json:"transactions"`
}

func (s *Simulator) setCustomer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Balances economy.Amounts `json:"balances"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil && !errors.Is(err, io.EOF) { // no body: only create
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if err := s.SetBalance(r.PathValue("customer"), body.Balances); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.controlCustomer(w, r)
}

func (s *Simulator) controlCustomer(w http.ResponseWriter, r *http.Request) {
	view := customerView{ID: r.PathValue("customer")}
	view.Balances, view.Transactions = s.Balance(view.ID), s.Transactions(view.ID)
	if view.Balances == nil {
		refuse(w, http.StatusNotFound, errors.New("no such customer"))
		return
	}
	if view.Transactions == nil {
		view.Transactions = []Transaction{}
	}
	show(w, view)
}

func (s *Simulator) showStats(w http.ResponseWriter, r *http.Request) {
	out := struct {
		Stats
		Sums map[string]Sum `json:"sums,omitempty"`
	}{Stats: s.Stats()}
	if r.URL.Query().Get("customers") == "1" {
		out.Sums = s.Sums()
	}
	show(w, out)
}

func (s *Simulator) reset(w http.ResponseWriter, _ *http.Request) {
	if err := s.Reset(); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	show(w, s.Stats())
}

func show(w http.ResponseWriter, v any) { reply{status: http.StatusOK, body: v}.send(w) }

func refuse(w http.ResponseWriter, status int, err error) {
	reply{status: status, body: map[string]string{"error": err.Error()}}.send(w)
}

package simulator

// Busy reports whether a write of a customer is under way.
func (s *Simulator) Busy(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, busy := s.busy[id]
	return busy
}

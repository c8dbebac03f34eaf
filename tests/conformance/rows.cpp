// SPDX-License-Identifier: BSD-3-Clause
// RFC 9293 section 3.10.7 row by row, in the order of its steps; where a later RFC amends a step or
// docs/rfc-exceptions.md names a deviation, the row says so. Layer: tests; see oracle.hpp. Written from the
// RFC's text, not from src.
#include "conformance/oracle.hpp"

namespace handfast::conformance {
namespace {

template <class... States>
constexpr std::uint16_t in(States... states) {
  return static_cast<std::uint16_t>((0u | ... | (1u << static_cast<unsigned>(states))));
}

constexpr std::uint16_t closed = in(State::closed), listening = in(State::listen),
                        syn_sent = in(State::syn_sent), opening = in(State::syn_received),
                        established = in(State::established), fin_wait_1 = in(State::fin_wait_1),
                        fin_wait_2 = in(State::fin_wait_2), closing = in(State::closing),
                        last_ack = in(State::last_ack), waiting = in(State::time_wait);
/// Those that take text, those whose peer has sent its FIN, and all but TIME-WAIT that are synchronised.
constexpr std::uint16_t takes_text = established | fin_wait_1 | fin_wait_2;
constexpr std::uint16_t after_fin = in(State::close_wait, State::closing, State::last_ack);
constexpr std::uint16_t open = takes_text | after_fin;
constexpr std::uint16_t all_of_4 = opening | open | waiting;

constexpr State stays = State::listen;
constexpr std::uint16_t end = nothing_more;

constexpr Row table[] = {
    // --- 3.10.7.1 CLOSED
    {closed, rst, 0, Answer::none, end, stays, "", Drop::tcp_no_connection, "3.10.7.1: a RST is discarded"},
    {closed, ack, 0, Answer::rst_at_ack, end, stays, "", Drop::tcp_no_connection,
     "3.10.7.1: the ACK bit is on"},
    {closed, 0, 0, Answer::rst_to_segment, end, stays, "", Drop::tcp_no_connection,
     "3.10.7.1: the ACK bit is off"},

    // --- 3.10.7.2 LISTEN
    {listening, rst, 0, Answer::none, end, stays, "", Drop::tcp_no_connection,
     "3.10.7.2 first: a RST is ignored"},
    {listening, ack, 0, Answer::rst_at_ack, end, stays, "", Drop::tcp_no_connection,
     "3.10.7.2 second: any ACK is bad"},
    {listening, syn, 0, Answer::syn_ack_fresh, take_syn | end, State::syn_received, "", Drop::none,
     "3.10.7.2 third: SYN-RECEIVED; text and FIN that come along are not queued (exceptions: data in a SYN)"},
    {listening, 0, 0, Answer::none, end, stays, "", Drop::tcp_no_ack, "3.10.7.2 fourth: drop"},

    // --- 3.10.7.3 SYN-SENT
    {syn_sent, ack | rst, ack_new, Answer::none, end, stays, "", Drop::tcp_unacceptable_ack,
     "3.10.7.3 first: bad ACK with RST is dropped"},
    {syn_sent, ack, ack_new, Answer::rst_at_ack, end, stays, "", Drop::tcp_unacceptable_ack,
     "3.10.7.3 first: bad ACK is reset"},
    {syn_sent, rst | ack, 0, Answer::none, end, State::closed, "closed:refused", Drop::none,
     "3.10.7.3 second: the ACK was acceptable: connection reset"},
    {syn_sent, rst, 0, Answer::none, end, stays, "", Drop::tcp_rst_not_exact,
     "3.10.7.3 second: RST without ACK is dropped"},
    {syn_sent, syn | ack, 0, Answer::ack, take_syn | take_ack | end, State::established, "connect",
     Drop::none,
     "3.10.7.3 fourth: our SYN is acknowledged; text and FIN are left to come again (exceptions: data in a "
     "SYN)"},
    {syn_sent, syn, 0, Answer::syn_ack, take_syn | end, State::syn_received, "", Drop::none,
     "3.10.7.3 fourth: otherwise SYN-RECEIVED"},
    {syn_sent, 0, 0, Answer::none, end, stays, "", Drop::tcp_no_ack, "3.10.7.3 fifth: neither SYN nor RST"},

    // --- before 3.10.7.4: what comes again while the handshake is going on
    {opening, syn | is_irs | passive, rst | ack, Answer::syn_ack, take_syn | end, stays, "",
     Drop::tcp_duplicate, "exceptions: SYN again: our SYN-ACK was lost, and an ACK would not replace it"},

    // --- TIME-WAIT and what amends it
    {waiting, rst, 0, Answer::none, end, stays, "", Drop::tcp_time_wait,
     "rfc1337 fix 1: RST is ignored in TIME-WAIT"},
    {waiting, syn | listener | ts_newer, ack | rst | fin, Answer::syn_ack_fresh, take_syn | end,
     State::syn_received, "", Drop::none, "rfc6191 2, first: a newer timestamp opens a new connection"},
    {waiting, syn | listener | ts_both, ack | rst | fin | seq_old | ts_before, Answer::syn_ack_fresh,
     take_syn | end, State::syn_received, "", Drop::none,
     "rfc6191 2, second: the same timestamp, a larger number"},
    {waiting, syn | listener, ack | rst | fin | ts_both | seq_old, Answer::syn_ack_fresh, take_syn | end,
     State::syn_received, "", Drop::none,
     "rfc9293 3.6.1 MAY-2, rfc6191 2: without timestamps a larger number"},

    // --- rfc7323
    {all_of_4, ts_lacks, rst | syn, Answer::none, end, stays, "", Drop::tcp_no_timestamp,
     "rfc7323 3.2: without the option where it was agreed on: silently dropped"},
    {waiting, ts_older, rst, Answer::ack, end, stays, "", Drop::tcp_time_wait,
     "rfc7323 5.3 R1, in TIME-WAIT"},
    {opening, ts_before | passive, rst, Answer::ack, end, stays, "", Drop::tcp_old_timestamp,
     "rfc7323 5.3 R1: not acceptable; TS.Recent is the SYN's, so nothing needs tolerance"},
    {all_of_4, ts_older, rst, Answer::ack, end, stays, "", Drop::tcp_old_timestamp,
     "rfc7323 5.3 R1: not acceptable"},

    // --- 3.10.7.4 first: sequence number
    {opening, syn | ack | is_irs, rst | fin | passive | ack_new, Answer::rst_at_ack, end, stays, "",
     Drop::tcp_unacceptable_ack, "3.5 figure 7 and 3.5.2 group 2: the peer's SYN-ACK with a bad ACK"},
    {opening, syn | ack | is_irs | up_ahead, rst | fin | passive, Answer::none, take_ack | end,
     State::established, "connect urgent", Drop::none,
     "3.5 figure 7, and sixth: the same with urgent data announced"},
    {opening, syn | ack | is_irs, rst | fin | passive, Answer::none, take_ack | end, State::established,
     "connect", Drop::none,
     "3.5 figure 7: the peer's SYN-ACK ends a simultaneous open, though its SYN lies below the window"},
    {opening, rst | passive, acceptable | shut, Answer::none, end, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 first: not acceptable, RST: dropped"},
    {opening, passive, acceptable | shut, Answer::ack, end, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 first: not acceptable: ACK"},
    {waiting, fin_again | ack, syn | ack_unsent, Answer::ack, restart_2msl | end, stays, "",
     Drop::tcp_duplicate,
     "3.10.7.4 fifth, TIME-WAIT: the remote FIN again: acknowledge it, restart the 2 MSL timeout"},
    {waiting, 0, acceptable | shut, Answer::ack, end, stays, "", Drop::tcp_time_wait,
     "3.10.7.4 first: not acceptable, in TIME-WAIT: ACK"},
    {all_of_4, rst | seq_old, acceptable | shut, Answer::none, end, stays, "", Drop::tcp_duplicate,
     "3.10.7.4 first: not acceptable, RST: dropped"},
    {all_of_4, rst, acceptable | shut, Answer::none, end, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 first: not acceptable, RST: dropped"},
    {all_of_4, seq_old, acceptable | shut, Answer::ack, end, stays, "", Drop::tcp_duplicate,
     "3.10.7.4 first: not acceptable, old: ACK"},
    {all_of_4, 0, acceptable | shut, Answer::ack, end, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 first: not acceptable, beyond the window: ACK"},

    // --- second: RST (rfc5961 3)
    {opening, rst | passive, seq_inside, Answer::none, end, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 second 1: SEG.SEQ is outside of the window: silently dropped"},
    {opening | open, rst, seq_inside, Answer::none, end, stays, "", Drop::tcp_duplicate,
     "3.10.7.4 second 1: SEG.SEQ is outside of the window: silently dropped"},
    {opening | open, rst, seq_exact, Answer::ack, end, stays, "", Drop::tcp_rst_not_exact,
     "3.10.7.4 second 3: in the window, not exactly RCV.NXT: challenge ACK"},
    {opening, rst | passive, 0, Answer::none, end, State::closed, "", Drop::none,
     "3.10.7.4 second, SYN-RECEIVED: back to LISTEN, the user need not know"},
    {opening, rst, 0, Answer::none, end, State::closed, "closed:refused", Drop::none,
     "3.10.7.4 second, SYN-RECEIVED after an active OPEN: refused"},
    {open, rst, 0, Answer::none, end, State::closed, "closed:reset_by_peer", Drop::none,
     "3.10.7.4 second: connection reset, delete the TCB"},

    // --- fourth: SYN (rfc5961 4)
    {waiting, syn, 0, Answer::ack, end, stays, "", Drop::tcp_time_wait,
     "3.10.7.4 fourth, TIME-WAIT: challenge ACK"},
    {opening, syn | passive, 0, Answer::ack, end, stays, "", Drop::tcp_syn_in_window,
     "exceptions: SYN in the window of a half-open connection: challenge ACK"},
    {opening | open, syn, 0, Answer::ack, end, stays, "", Drop::tcp_syn_in_window,
     "3.10.7.4 fourth: irrespective of the sequence number: challenge ACK"},

    // --- fifth: ACK
    {waiting, ack_unsent, 0, Answer::ack, end, stays, "", Drop::tcp_time_wait,
     "3.5.2 group 3, TIME-WAIT: an unacceptable acknowledgment is answered by an ACK"},
    {waiting, seq_exact, text | fin, Answer::none, end, stays, "", Drop::tcp_time_wait,
     "3.10.7.4 fifth, TIME-WAIT: only the remote FIN is answered"},
    {waiting, 0, 0, Answer::ack, end, stays, "", Drop::tcp_time_wait,
     "exceptions: segments in the window of TIME-WAIT"},
    {open, shut, ack, Answer::ack, end, stays, "", Drop::tcp_no_ack,
     "3.10.7.4 first: the window is zero, and it is no valid ACK, URG or RST: not acceptable: ACK"},
    {opening | open, 0, ack, Answer::none, end, stays, "", Drop::tcp_no_ack,
     "3.10.7.4 fifth: the ACK bit is off: dropped"},
    {opening, 0, ack_new, Answer::rst_at_ack, end, stays, "", Drop::tcp_unacceptable_ack,
     "3.10.7.4 fifth, SYN-RECEIVED, and 3.5.2 group 2: not acceptable: reset"},
    {open, 0, ack_fits, Answer::ack, end, stays, "", Drop::tcp_unacceptable_ack,
     "3.10.7.4 fifth, rfc5961 5.2: discarded, and an ACK sent back"},
    {opening, passive, 0, Answer::none, take_ack, State::established, "accept", Drop::none,
     "3.10.7.4 fifth, SYN-RECEIVED: enter ESTABLISHED and go on"},
    {opening, 0, 0, Answer::none, take_ack, State::established, "connect", Drop::none,
     "3.10.7.4 fifth, SYN-RECEIVED: enter ESTABLISHED and go on"},
    {open, ack_new, 0, Answer::none, take_ack, stays, "", Drop::none,
     "3.10.7.4 fifth, ESTABLISHED: SND.UNA <- SEG.ACK"},
    {fin_wait_1, acks_fin, 0, Answer::none, 0, State::fin_wait_2, "", Drop::none,
     "3.10.7.4 fifth, FIN-WAIT-1: our FIN is acknowledged"},
    {closing, acks_fin, 0, Answer::none, end, State::time_wait, "closed:finished", Drop::none,
     "3.10.7.4 fifth, CLOSING: our FIN is acknowledged"},
    {last_ack, acks_fin, 0, Answer::none, end, State::closed, "closed:finished", Drop::none,
     "3.10.7.4 fifth, LAST-ACK: our FIN is acknowledged"},

    // --- the allowance for a closed window, MUST-66: ACK, URG and RST count, text and FIN do not
    {open, shut, 0, Answer::ack, 0, stays, "", Drop::tcp_window_full,
     "3.10.7.4 first, MUST-66: the window is zero: its text is not taken, and an ACK is sent"},

    // --- sixth: URG
    {takes_text, up_ahead, orphan, Answer::none, 0, stays, "urgent", Drop::none,
     "3.10.7.4 sixth: signal the user"},

    // --- seventh: text
    {after_fin, text_next, 0, Answer::none, 0, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 seventh: text after the peer's FIN is ignored"},
    {after_fin, text_beyond, 0, Answer::none, 0, stays, "", Drop::tcp_out_of_window,
     "3.10.7.4 seventh: text after the peer's FIN is ignored"},
    {after_fin, fin_next, 0, Answer::none, 0, stays, "", Drop::tcp_out_of_window,
     "exceptions: a second FIN: there is nothing behind the first"},
    {after_fin, fin_beyond, 0, Answer::none, 0, stays, "", Drop::tcp_out_of_window,
     "exceptions: a second FIN: there is nothing behind the first"},
    {takes_text, orphan | text_next, 0, Answer::rst_of_ours, end, State::closed, "closed:unread_data",
     Drop::none, "3.6.1 SHLD-3: data after CLOSE: RST"},
    {takes_text, orphan | text_beyond, 0, Answer::rst_of_ours, end, State::closed, "closed:unread_data",
     Drop::none, "3.6.1 SHLD-3: data after CLOSE: RST"},
    {takes_text, text_next, 0, Answer::ack_soon, take_text, stays, "", Drop::none,
     "3.10.7.4 seventh: delivered, RCV.NXT moves over it, and an ACK"},
    {takes_text, text_beyond, 0, Answer::ack, hold_text, stays, "", Drop::none,
     "3.10.7.4 first, SHLD-31: held for later; MAY-13, rfc5681 4.2: an ACK at once"},

    // --- eighth: FIN
    {takes_text, fin_beyond, 0, Answer::ack, hold_fin, stays, "", Drop::none,
     "3.10.7.4 first, SHLD-31: the FIN beyond a gap is held for later; an ACK at once"},
    {established, fin_next, 0, Answer::ack, take_fin | end, State::close_wait, "fin", Drop::none,
     "3.10.7.4 eighth, ESTABLISHED: CLOSE-WAIT"},
    {fin_wait_1, fin_next | orphan, 0, Answer::ack, take_fin | end, State::closing, "", Drop::none,
     "3.10.7.4 eighth, FIN-WAIT-1: CLOSING; the user has closed and is told nothing"},
    {fin_wait_1, fin_next, 0, Answer::ack, take_fin | end, State::closing, "fin", Drop::none,
     "3.10.7.4 eighth, FIN-WAIT-1: CLOSING"},
    {fin_wait_2, fin_next | orphan, 0, Answer::ack, take_fin | end, State::time_wait, "closed:finished",
     Drop::none, "3.10.7.4 eighth, FIN-WAIT-2: TIME-WAIT"},
    {fin_wait_2, fin_next, 0, Answer::ack, take_fin | end, State::time_wait, "fin closed:finished",
     Drop::none, "3.10.7.4 eighth, FIN-WAIT-2: TIME-WAIT"},
};

}  // namespace

std::span<const Row> rows() { return table; }

}  // namespace handfast::conformance

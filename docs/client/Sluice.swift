// The app's side of Sluice for iOS 15, macOS 12 and newer: Foundation only. Copy this file and
// change what you like; docs/client/README.md says why each rule is there.
import Foundation

/// What the app keeps of a tap until it has a final answer.
public struct Tap: Codable, Equatable, Sendable {
    public let key: String
    public let item: String
    public let quantity: Int
}

public struct Spend: Decodable, Sendable {
    public let id: String
    public let state: String
    public let item: String?
    public let quantity: Int?
    public let cost: [String: Int64]?
    public let reason: String?
}

/// How a tap ended. Only `working` is not final: its key is kept, and `resume()` goes on.
public enum Outcome: Sendable {
    case bought(Spend)
    case notEnough(String)
    case givenBack(String)
    case refused(String, problem: String)
    case working
}

public struct SluiceError: Error { public let text: String }

/// One object for the whole app. An actor: the same tap never runs twice at once.
public actor Sluice {
    private let base: URL
    private let session: @Sendable (_ renew: Bool) async throws -> String // your login's token
    private let refreshBalance: @Sendable () async -> Void
    private let store: UserDefaults
    private let place: String
    private var running: [String: Task<Outcome, Never>] = [:]

    /// refreshBalance, with RevenueCat's SDK:
    ///
    ///     Purchases.shared.invalidateVirtualCurrenciesCache()
    ///     balances = try? await Purchases.shared.virtualCurrencies()
    public init(base: URL, player: String, session: @escaping @Sendable (Bool) async throws -> String,
                refreshBalance: @escaping @Sendable () async -> Void, store: UserDefaults = .standard) {
        self.base = base
        self.session = session
        self.refreshBalance = refreshBalance
        self.store = store
        self.place = "sluice.taps." + player
    }

    /// One tap, one key: made here, stored before the first request, forgotten after a final answer.
    public func spend(_ item: String, quantity: Int = 1) async -> Outcome {
        let tap = Tap(key: UUID().uuidString, item: item, quantity: quantity)
        save(kept() + [tap])
        return await finish(tap)
    }

    /// Goes on with every tap that has no final answer: call it when the app starts and when it is online again.
    public func resume() async -> [Outcome] {
        var outcomes: [Outcome] = []
        for tap in kept() { outcomes.append(await finish(tap)) }
        return outcomes
    }

    private func finish(_ tap: Tap) async -> Outcome {
        if let task = running[tap.key] { return await task.value }
        let task = Task { await pursue(tap) }
        running[tap.key] = task
        defer { running[tap.key] = nil }
        return await task.value
    }

    private func pursue(_ tap: Tap) async -> Outcome {
        let until = Date().addingTimeInterval(60)
        var accepted: String? // the spend's id, once it has one
        var attempt = 0
        while true {
            let answer: Answer?
            if let id = accepted {
                answer = await call("GET", "/spends/" + id)
            } else {
                answer = await call("POST", "/spend", ["item": tap.item, "quantity": tap.quantity, "idempotencyKey": tap.key])
            }
            if let answer, let outcome = accepted == nil ? decided(answer) : ended(answer) {
                save(kept().filter { $0.key != tap.key })
                switch outcome {
                case .bought, .givenBack: await refreshBalance()
                default: break
                }
                return outcome
            }
            if let answer, answer.status == 202 { accepted = answer.spend()?.id } // also its Location: /spends/<id>
            let wait = pause(answer, attempt)
            if Date().addingTimeInterval(wait) > until { return .working }
            try? await Task.sleep(nanoseconds: UInt64(wait * 1_000_000_000))
            attempt += 1
        }
    }

    /// "I bought this with money": shown as pending until RevenueCat tells of it. Call it after each purchase.
    public func claim(store: String, transactionID: String, productID: String) async throws {
        _ = try await must("POST", "/purchases/claims", ["store": store, "transaction_id": transactionID, "product_id": productID])
    }

    /// Has the player's purchases read again. Call it after Purchases.shared.restorePurchases().
    public func restore() async throws {
        var attempt = 0
        while true {
            let answer = try await must("POST", "/purchases/restore")
            if answer.status == 200 { break }
            try await Task.sleep(nanoseconds: UInt64(pause(answer, attempt) * 1_000_000_000))
            attempt += 1
        }
        await refreshBalance()
    }

    // MARK: - requests

    private struct Answer {
        let status: Int
        let retryAfter: Double?
        let data: Data

        struct Body: Decodable { let type: String?; let error: String?; let spend: Spend? }
        var body: Body { (try? JSONDecoder().decode(Body.self, from: data)) ?? Body(type: nil, error: nil, spend: nil) }
        /// The spend inside an answer to POST /spend, or the answer of GET /spends/{id} itself.
        func spend() -> Spend? { body.spend ?? (try? JSONDecoder().decode(Spend.self, from: data)) }
    }

    /// One request; nil when no answer came. A refused session is renewed once.
    private func call(_ method: String, _ path: String, _ body: [String: Any]? = nil) async -> Answer? {
        for renew in [false, true] {
            var request = URLRequest(url: base.appendingPathComponent(path), timeoutInterval: 45)
            request.httpMethod = method
            if let body {
                request.httpBody = try? JSONSerialization.data(withJSONObject: body)
                request.setValue("application/json", forHTTPHeaderField: "Content-Type")
            }
            guard let token = try? await session(renew) else { return nil }
            request.setValue("Bearer " + token, forHTTPHeaderField: "Authorization")
            guard let (data, response) = try? await URLSession.shared.data(for: request), let http = response as? HTTPURLResponse else {
                return nil // offline, timed out, cut off: nobody knows whether it arrived, and the key makes a repeat safe
            }
            if http.statusCode == 401 && !renew { continue }
            let told = http.value(forHTTPHeaderField: "Retry-After").flatMap(Double.init)
            return Answer(status: http.statusCode, retryAfter: told, data: data)
        }
        return nil
    }

    /// A call that may be repeated as it is: all of them but spends, which have their keys.
    private func must(_ method: String, _ path: String, _ body: [String: Any]? = nil) async throws -> Answer {
        for attempt in 0 ..< 8 {
            let answer = await call(method, path, body)
            if let answer, answer.status < 300 { return answer }
            if let answer, answer.status != 429, answer.status != 503 {
                throw SluiceError(text: answer.body.error ?? "Please try again in a moment")
            }
            try await Task.sleep(nanoseconds: UInt64(pause(answer, attempt) * 1_000_000_000))
        }
        throw SluiceError(text: "Please try again in a moment")
    }

    /// Reads an answer to POST /spend; nil: it is not final, go on with the same key.
    private func decided(_ answer: Answer) -> Outcome? {
        let body = answer.body
        let text = body.error ?? "Something went wrong, please try again"
        let problem = (body.type ?? "").replacingOccurrences(of: "https://sluice.dev/problems/", with: "")
        switch answer.status {
        case 200: return body.spend.map { .bought($0) }
        case 402: return .notEnough(text)
        case 403: return problem == "spend-refunded" ? .givenBack(text) : .refused(text, problem: problem)
        case 500: return problem == "item-not-handed-over" ? .givenBack(text) : nil
        case 502: return problem == "provider-refused" ? .refused(text, problem: problem) : nil // a proxy's own 502 decides nothing
        case 400, 404, 409, 413, 415: return .refused(text, problem: problem)
        default: return nil // 202, 401, 429, 503, and whatever a proxy says
        }
    }

    /// Reads a spend from GET /spends/{id}; nil: it is still under way.
    private func ended(_ answer: Answer) -> Outcome? {
        guard answer.status == 200, let spend = answer.spend() else { return nil }
        switch spend.state {
        case "fulfilled": return .bought(spend)
        case "refunded": return .givenBack("Your gems are back")
        case "declined" where spend.reason == "insufficient_funds": return .notEnough("Not enough gems")
        case "declined": return .refused("This purchase was refused", problem: spend.reason ?? "")
        default: return nil
        }
    }

    /// How long to wait: what Retry-After says, else longer each time, never in step with others.
    private func pause(_ answer: Answer?, _ attempt: Int) -> Double {
        if let told = answer?.retryAfter, told > 0 { return told + Double.random(in: 0 ... 0.25) }
        return min(15, 0.5 * pow(2, Double(attempt))) * Double.random(in: 0.5 ... 1)
    }

    // MARK: - taps

    private func kept() -> [Tap] {
        store.data(forKey: place).flatMap { try? JSONDecoder().decode([Tap].self, from: $0) } ?? []
    }

    private func save(_ taps: [Tap]) {
        store.set(try? JSONEncoder().encode(taps), forKey: place)
    }
}

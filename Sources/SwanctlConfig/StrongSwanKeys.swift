/// Keys and sections that strongswan.conf(5) has and that mean nothing here: a file may have them as it is.
///
/// It owns names only, so that a name of strongSwan's own is not taken for a mistyped one of those that are honoured.
enum StrongSwanKeys {
    /// Whether strongSwan knows this name in the section of this path.
    static func has(_ name: String, in path: String) -> Bool {
        switch path {
        case "charon": charon.contains(name)
        case "charon.plugins": plugins.contains(name)
        // Every plugin has it.
        default: name == "load"
        }
    }

    private static let charon = words(
        """
        accept_private_algs accept_unencrypted_mainmode_messages cert_cache check_current_path cisco_flexvpn cisco_unity
        close_ike_on_child_failure cookie_threshold_ip crypto_test delete_rekeyed delete_rekeyed_delay
        dh_exponent_ansi_x9_42 dlopen_use_rtld_now dns1 dns2 filelog flush_auth_cfg force_eap_only_authentication group
        hash_and_url host_resolver i_dont_care_about_security_and_use_aggressive_mode_psk ignore_acquire_ts
        ignore_routing_tables ikesa_limit ikesa_table_segments ikesa_table_size imcv inactivity_close_ike
        init_limit_job_load initiator_only install_routes install_virtual_ip integrity_test interfaces_ignore
        interfaces_use iptfs keep_alive_dpd_margin leak_detective load load_modular max_ikev1_exchanges max_packet
        multiple_authentication nbns1 nbns2 ocsp_nonce_len prefer_best_path prefer_configured_proposals
        prefer_temporary_addrs process_route processor rdn_matching receive_delay receive_delay_request
        receive_delay_response receive_delay_type reject_trusted_end_entity replay_window reuse_ikesa rsa_pss
        rsa_pss_trailerfield send_delay send_delay_request send_delay_response send_delay_type send_vendor_id
        signature_authentication signature_authentication_constraints spi_label spi_mask spi_max spi_min start-scripts
        stop-scripts syslog tls tnc user x509
        """)

    private static let plugins = words(
        """
        addrblock aes aesni af-alg agent android_log attr attr-sql bliss blowfish botan bypass-lan ccm certexpire chapoly
        cmac connmark constraints counters coupling ctr curl curve25519 des dhcp dnscert dnskey drbg duplicheck eap-aka
        eap-aka-3gpp eap-aka-3gpp2 eap-dynamic eap-gtc eap-identity eap-md5 eap-mschapv2 eap-peap eap-sim
        eap-simaka-pseudonym eap-simaka-reauth eap-simaka-sql eap-tls eap-tnc eap-ttls error-notify ext-auth farp files
        fips-prf forecast gcm gcrypt gmp ha hmac ipseckey kdf kernel-libipsec kernel-netlink kernel-pfkey kernel-pfroute
        keychain ldap led load-tester lookip md4 md5 mgf1 ml mysql newhope nonce ntru openssl openxpki osx-attr p-cscf
        padlock pem pgp pkcs1 pkcs11 pkcs12 pkcs7 pkcs8 pubkey radattr random rc2 rdrand resolve save-keys selinux sha1
        sha2 sha3 smp socket-default socket-dynamic soup sql sqlite sshkey stroke systime-fix test-vectors tnc-ifmap
        tnc-imc tnc-imv tnc-pdp tnccs-11 tnccs-20 tnccs-dynamic tpm unbound unity updown whitelist winhttp wolfssl x509
        xauth-eap xauth-generic xauth-noauth xauth-pam xcbc
        """)

    private static func words(_ text: String) -> Set<String> {
        Set(text.split { $0 == " " || $0.isNewline }.map(String.init))
    }
}

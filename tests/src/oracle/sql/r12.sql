--@ village AS SELECT * FROM org WHERE field = 'rural'
--@ matter AS SELECT m.*, (UNTIL(p4_on) AND m.status <> 'rejected' AND CASE m.p4_form WHEN 'villagers' THEN p4_present * 2 > p4_due + 0 ELSE p4_present * 3 >= p4_due * 2 END AND p4_agree * 2 > p4_present + 0) AS passed FROM l_four_deliberations m JOIN village v ON v.org = m.org WHERE UNTIL(p1_on) AND p1_on >= $S
--@ told AS SELECT d.* FROM l_party_affairs_disclosure d JOIN village v ON v.org = d.org WHERE UNTIL(disclosed_from) AND disclosed_from >= $S
--= 1 村党组织数
SELECT ru, org, 1 AS v FROM village
--= 2 有决策事项的村
SELECT DISTINCT ru, org, 1 AS v FROM matter
--= 3 事项数: proposed in the period
SELECT ru, org, 1 AS v FROM matter
--= 4 已决议通过
SELECT ru, org, 1 AS v FROM matter WHERE passed
--= 5 未通过: voted down by the day
SELECT ru, org, 1 AS v FROM matter WHERE status = 'rejected' AND NOT AFTER(p3_on) AND NOT AFTER(p4_on)
--= 6 办理中 = 3 - 4 - 5
--= 7 决议公开数
SELECT ru, org, 1 AS v FROM matter WHERE UNTIL(o1_on)
--= 8 实施完成数
SELECT ru, org, 1 AS v FROM matter WHERE UNTIL(implement_to)
--= 9 结果公开数
SELECT ru, org, 1 AS v FROM matter WHERE UNTIL(o2_on)
--= 10 程序规范数: passed, dates in order, quorums and votes met, both publicities done
SELECT ru, org, 1 AS v FROM matter WHERE passed AND p1_on <> '' AND p2_on <> '' AND p3_on <> '' AND p4_on <> ''
  AND p1_on <= p2_on AND p2_on <= p3_on AND p3_on <= p4_on AND p4_on <= o1_on AND o1_on <> '' AND o1_on <= implement_to
  AND (implement_from = '' OR (o1_on <= implement_from AND implement_from <= implement_to)) AND implement_to <= o2_on AND UNTIL(o2_on)
  AND p3_present * 3 >= p3_due * 2 AND p3_agree * 2 > p3_due
--= 11 规范率 = 10 / 8
--= 12 涉及金额(万元)
SELECT ru, org, amount_wan / 10000.0 AS v FROM matter WHERE passed AND amount_wan <> ''
--= 13 公开条数: disclosed in the period
SELECT ru, org, 1 AS v FROM told
--= 14 收到意见数
SELECT ru, org, feedback_count + 0 AS v FROM told

--@ entry AS SELECT f.*, amount_yuan / 10000.0 AS wan FROM l_funds f
--@ income AS SELECT * FROM entry WHERE flow = 'income' AND year = $Y AND BY(occurred_on)
--@ before AS SELECT * FROM entry WHERE flow = 'income' AND year + 0 = $Y - 1
--@ spent AS SELECT * FROM entry WHERE flow = 'expense' AND year = $Y AND BY(occurred_on)
--= 1 上年收入
SELECT ru, org, wan AS v FROM before
--= 2 本年收入: until the day
SELECT ru, org, wan AS v FROM income
--= 3 增长率 = 2 - 1 / 1
--= 4 财政支持上年
SELECT ru, org, wan AS v FROM before WHERE source = 'fiscal'
--= 5 财政支持本年
SELECT ru, org, wan AS v FROM income WHERE source = 'fiscal'
--= 6 增长率 = 5 - 4 / 4
--= 7 税前列支
SELECT ru, org, wan AS v FROM income WHERE source = 'pretax'
--= 8 党费拨返
SELECT ru, org, wan AS v FROM income WHERE source = 'dues_return'
--= 9 党员捐助
SELECT ru, org, wan AS v FROM income WHERE source = 'donation'
--= 10 救助资金
SELECT ru, org, wan AS v FROM income WHERE source = 'relief_fund'
--= 11 其他
SELECT ru, org, wan AS v FROM income WHERE source = 'other'
--= 12 支出
SELECT ru, org, wan AS v FROM spent
--= 13 组织活动
SELECT ru, org, wan AS v FROM spent WHERE use = 'activity'
--= 14 教育培训
SELECT ru, org, wan AS v FROM spent WHERE use = 'training'
--= 15 场所建设
SELECT ru, org, wan AS v FROM spent WHERE use = 'venue'
--= 16 报酬补贴
SELECT ru, org, wan AS v FROM spent WHERE use = 'pay'
--= 17 救助帮扶
SELECT ru, org, wan AS v FROM spent WHERE use = 'aid'
--= 18 其他
SELECT ru, org, wan AS v FROM spent WHERE use IN ('equipment', 'award', 'other')
--= 19 有经费来源的党组织数
SELECT DISTINCT ru, org, 1 AS v FROM income
